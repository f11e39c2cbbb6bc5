/** The admin API: asks, unwraps the envelope, and turns every failure into one kind of error. */

import { learn } from "./clock.js";
import { headers } from "./credentials.js";

export const BASE = new URL("../api/v1/admin/", import.meta.url);
const PATIENCE_MS = 20_000;

/** A request that wasn't answered with a success; status 0: not answered at all. */
export class ApiError extends Error {
  /**
   * @param {string} message for people
   * @param {number} status
   * @param {string} code for programs
   * @param {Record<string, any>} body the whole answer, if there was one
   */
  constructor(message, status, code, body = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.body = body;
  }

  /** Whether the token is missing, wrong, or not an operator's. */
  get isOfCredentials() {
    return this.status === 401 || this.status === 403;
  }
}

let onCredentials = (/** @type {ApiError} */ _) => {};

/**
 * Be told when a request is refused for its token.
 * @param {(error: ApiError) => void} listener
 */
export function whenRefused(listener) {
  onCredentials = listener;
}

/**
 * GET below `/api/v1/admin/`.
 * @param {string} path
 * @param {Record<string, string | number | boolean | null | undefined>} [query] empty ones are left out
 * @returns {Promise<any>} what is in the envelope
 */
export function get(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) url.searchParams.set(name, String(value));
  }
  return ask(url, { method: "GET" });
}

/**
 * POST below `/api/v1/admin/`.
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>} what is in the envelope
 */
export function post(path, body) {
  return ask(new URL(path, BASE), { method: "POST", body: JSON.stringify(body) });
}

/**
 * The path of a user's resource.
 * @param {string} userId any printable text
 * @param {string} [rest]
 */
export function ofUser(userId, rest = "") {
  return `sessions/${encodeURIComponent(userId)}${rest}`;
}

async function ask(url, options) {
  const sent = performance.now();
  let response;
  let body;
  try {
    response = await fetch(url, {
      ...options,
      headers: { ...headers(), ...(options.body ? { "Content-Type": "application/json" } : {}) },
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    body = await response.json();
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(late ? "The service has not answered in time" : "The service cannot be reached", 0, "unreachable");
  }
  if (!response.ok || body?.success !== true) {
    const error = new ApiError(body?.error ?? `Unexpected answer ${response.status}`, response.status, body?.code ?? "", body);
    if (error.isOfCredentials) onCredentials(error);
    throw error;
  }
  if (body.data?.server_time) learn(body.data.server_time, (performance.now() - sent) / 2);
  return body.data;
}

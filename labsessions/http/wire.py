"""JSON in and out: bodies are read and parsed, answers are put in their envelope. No field is known here."""

from typing import Any, Final

import msgspec
from aiohttp import web

from labsessions.http.errors import (
    BODY_TOO_LARGE,
    BODY_UNREADABLE,
    INVALID_JSON,
    Problem,
    RefusedError,
)

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()


def json_answer(value: Any, status: int = 200) -> web.Response:
    """An answer whose body is `value` as JSON."""
    return web.Response(body=_encoder.encode(value), status=status, content_type="application/json")


def success(data: Any, message: str, status: int = 200) -> web.Response:
    """The contract's envelope of a success."""
    return json_answer({"success": True, "data": data, "message": message}, status)


def failure(problem: Problem, request_id: str) -> web.Response:
    """The contract's envelope of a failure, with the stable code and the id that finds the log lines."""
    body = {"success": False, "error": problem.text, "code": problem.code, "request_id": request_id}
    answer = json_answer(body, problem.status)
    answer.headers.update(problem.headers)
    return answer


async def read_body(request: web.Request) -> bytes:
    """The whole body, at most the application's `client_max_size` bytes after decompression.

    RefusedError 413 if there is more, without reading if `Content-Length` says so; 400 if it breaks off.
    """
    if (request.content_length or 0) > request.client_max_size:
        raise RefusedError(BODY_TOO_LARGE)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RefusedError(BODY_TOO_LARGE) from error
    except (web.RequestPayloadError, ConnectionError) as error:  # malformed chunks or gzip; the client has gone
        raise RefusedError(BODY_UNREADABLE) from error


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, whatever its content type says.

    RefusedError 400 for anything else. Numbers that no double holds (1e400), lone surrogates and nesting
    beyond the interpreter's recursion limit count as invalid JSON: what is accepted can be stored and sent again.
    """
    try:
        value = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(INVALID_JSON) from error
    if not isinstance(value, dict):
        text = f"Request body must be a JSON object, got {kind(value)}"
        raise RefusedError(Problem(400, "not_an_object", text))
    return value


def kind(value: Any) -> str:
    """What a JSON value is, in words for a message; strings are never quoted, they may be secrets."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case "":
            return "an empty string"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return str(value)

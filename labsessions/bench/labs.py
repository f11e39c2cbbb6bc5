"""The labs of the benchmark: users, bodies of about 900 bytes, and the requests about them as ready-made bytes."""

from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from labsessions.bench.flood import Request

SESSIONS: Final = "/api/v1/labs/sessions"
FAR_MINUTES: Final = 10_000  # a deadline that no run lives to see: seven days
OK, CREATED = 200, 201


def user_name(group: str, number: int) -> str:
    """The user with this number. Ids are spread like a front end's: stored in the order of numbers, they aren't sorted.

    That matters for figures on disk: rows that arrive sorted fill their pages to the brim, which ids of users never do.
    """
    return f"{group}-{blake2b(str(number).encode(), digest_size=10).hexdigest()}"


def master_of(user: str) -> str:
    """The VM of the user's lab. It has no worker, so that a cleanup is two calls."""
    return f"vm-{user}"


def lab_body(user: str, minutes: float = FAR_MINUTES) -> dict[str, Any]:
    """The body of a POST as a front end sends it."""
    return {
        "labId": "6f0c9a52-4f0e-4d3e-9a3e-1d2b7c5e8f10",
        "labTitle": "Kubernetes basics: deployments, services and ingress",
        "labGroupID": "b7a1d1c4-25b5-4a6e-8f41-3c9c0b8f2d77",
        "moduleID": "1c0f4f2e-90d8-4f4b-a3ce-5a7d7ad0be21",
        "duration": minutes,
        "activatedAt": "2026-01-01T09:00:00.000Z",
        "counterID": "0d9f4a6b-7f0e-4e58-8b1c-4de4c5a4f0aa",
        "configId": "config-kubernetes-1",
        "workerConfigId": "config-kubernetes-worker-1",
        "lab_request_id": master_of(user),
        "user_id": user,
        "terminal_url": f"https://terminal.labs.example/session/{user}",
        "validation": 0,
        "vm": {"name": "master-1", "network_id": "net-7d0e2c1b", "netbird_ip": "100.64.12.34"},
        "vscode_domain": f"{user}-code.labs.example",
        "puku_domain": f"{user}-puku.labs.example",
        "loadBalancers": [{"id": "lb-1", "domain": f"{user}-web.labs.example", "port": 30_080}],
    }


class Requests:
    """The requests to one server, with the token that it wants to see (None: none)."""

    def __init__(self, url: str, token: str | None = None) -> None:
        authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
        self._headers = f"Host: {urlsplit(url).netloc}\r\nAccept: application/json\r\n{authorization}"

    def create(self, user: str, minutes: float = FAR_MINUTES) -> Request:
        """POST; answered with the user's session."""
        return Request(self.bytes("POST", SESSIONS, lab_body(user, minutes)), CREATED, _about(user))

    def get(self, user: str) -> Request:
        """GET; answered with the user's session."""
        return Request(self.bytes("GET", f"{SESSIONS}/user/{user}"), OK, _about(user))

    def delete(self, user: str) -> Request:
        """DELETE; answered with the user's id."""
        return Request(self.bytes("DELETE", f"{SESSIONS}/{user}"), OK, _about(user))

    def bytes(self, method: str, path: str, body: Any = None) -> bytes:
        """Any request, as it is sent."""
        content = b"" if body is None else msgspec.json.encode(body)
        about = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{self._headers}{about}\r\n".encode() + content


def _about(user: str) -> bytes:
    return f'"user_id":"{user}"'.encode()

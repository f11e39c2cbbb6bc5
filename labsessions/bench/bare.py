"""The ceiling: aiohttp, its event loop and the JSON codec with the service's routes, and nothing behind them.

A POST is decoded and answered with a body of the service's shape and size, a GET and a DELETE with what they would be
answered. No storage, no token, no validation, no log lines: what the service adds is what a ratio to this shows.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from labsessions.bench.labs import SESSIONS, lab_body
from labsessions.process import address_of, stop_signal, write_ready_file

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()
_HOST: Final = "127.0.0.1"

# What the service adds to the body of a session.
_ADDED: Final[dict[str, Any]] = {
    "id": "2f5b8c1e-6f2c-4a53-9d5e-0b6f0f6e3a11",
    "worker_nodes": None,
    "time_factor": 1,
    "created_at": "2026-01-01T09:00:00.000Z",
    "updated_at": "2026-01-01T09:00:00.000Z",
    "status": "active",
    "expires_at": "2026-01-08T07:40:00.000Z",
    "remaining_seconds": 599_999.123,
    "server_time": "2026-01-01T09:00:00.877Z",
    "max_expires_at": "2026-01-31T09:00:00.000Z",
    "extendable": True,
    "why_not": None,
}
_SESSION: Final = lab_body("somebody") | _ADDED


async def _create(request: web.Request) -> web.Response:
    body = _decoder.decode(await request.read())
    return _answer(body | _ADDED, "Lab session created successfully", 201)


async def _get(request: web.Request) -> web.Response:
    session = _SESSION | {"user_id": request.match_info["user_id"]}
    return _answer(session, "Lab session retrieved successfully")


async def _delete(request: web.Request) -> web.Response:
    data = {"user_id": request.match_info["user_id"], "deleted": True}
    return _answer(data, "Lab session deleted successfully")


def _answer(data: dict[str, Any], message: str, status: int = 200) -> web.Response:
    body = _encoder.encode({"success": True, "data": data, "message": message})
    return web.Response(body=body, status=status, content_type="application/json")


async def serve_bare(ready_file: Path) -> None:
    """Serve on a free port, said in `ready_file`, until SIGTERM or SIGINT."""
    app = web.Application()
    app.router.add_post(SESSIONS, _create)
    app.router.add_get(f"{SESSIONS}/user/{{user_id}}", _get)
    app.router.add_delete(f"{SESSIONS}/{{user_id}}", _delete)
    runner = web.AppRunner(app, access_log=None)
    with stop_signal() as stop:
        await runner.setup()
        try:
            await web.TCPSite(runner, _HOST, 0).start()
            write_ready_file(ready_file, address_of(_HOST, runner.addresses[0][1]))
            await stop.wait()
        finally:
            await runner.cleanup()

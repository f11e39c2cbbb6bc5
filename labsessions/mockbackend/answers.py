"""What the mock backend answers to an accepted call, by fault. It neither waits nor does the work (see `app`)."""

from typing import Final, assert_never

from aiohttp import web

from labsessions.mockbackend.faults import Drop, Fault, Hang, Huge, Lost, NonJson, Redirect, Slow, Status

PAGE: Final = "<!doctype html><title>Lab backend</title><p>This is not JSON.</p>"
CHUNK_BYTES: Final = 65_536  # of a huge body: large enough to be quick, small enough not to be held in memory


async def answer(request: web.Request, normal: web.Response, fault: Fault | None) -> web.StreamResponse | None:
    """The answer under this fault, `normal` where nothing is wrong with it; None: the connection is to be closed."""
    match fault:
        case None | Slow():
            return normal
        case Hang() | Drop() | Lost():
            return None
        case Status():
            headers = {"Retry-After": fault.retry_after, "Location": fault.location}
            sent = {name: str(value) for name, value in headers.items() if value is not None}
            return web.json_response({"error": f"scripted {fault.status}"}, status=fault.status, headers=sent)
        case NonJson():
            return web.Response(text=PAGE, content_type="text/html")
        case Huge():
            return await _huge(request, fault.bytes)
        case Redirect():
            return web.Response(status=fault.status, headers={"Location": fault.location})
        case _:
            assert_never(fault)


async def _huge(request: web.Request, size: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"})
    await response.prepare(request)
    for start in range(0, size, CHUNK_BYTES):
        await response.write(b"x" * min(CHUNK_BYTES, size - start))
    return response

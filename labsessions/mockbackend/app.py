"""The mock backend's routes: the two of CONTRACT §2, a list of VMs, and `/__…` to script faults and see what was asked.

| Route | Meaning |
| --- | --- |
| `GET /__calls[?lab_request_id=…][&after=SEQ]` | the calls as they arrived (`record.Call`), or those behind one |
| `DELETE /__calls[?through=SEQ]` | forget them, or those up to one |
| `GET /__counts` | how many calls, and how many different VMs and services are gone: cheap, whatever was recorded |
| `GET /__state` | the VMs and services deleted, the most deletions seen at once |
| `POST /__vms` | put one VM or a list of them on `GET /api/v1/labs` (see `inventory`), until they are deleted |
| `POST /__faults`, `GET /__faults`, `DELETE /__faults` | add one fault or a list (see `faults`); show; delete all |
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from labsessions.mockbackend.answers import answer
from labsessions.mockbackend.faults import Fault, FaultError, FaultScript, Route, parse_faults
from labsessions.mockbackend.inventory import Inventory, VmError, parse_vms
from labsessions.mockbackend.record import Call, Record

T = TypeVar("T")

Id = Annotated[str, Meta(min_length=1)]

# Encoded once: in a benchmark hundreds of thousands of calls are answered, and the backend must not be the limit.
_NORMAL: Final[dict[Route, tuple[int, bytes]]] = {
    "expose": (200, b'{"message":"services deleted"}'),
    "delete": (202, b'{"message":"deletion accepted"}'),
}


class _ExposeBody(Struct):
    lab_request_id: Id


class _DeleteBody(Struct):
    lab_request_id: Id
    user_id: Id


class Backend:
    """One mock backend: its record, its script, and the handlers of its routes."""

    def __init__(self, token: str | None, faults: Iterable[Fault]) -> None:
        self.record = Record()
        self.script = FaultScript(faults)
        self.inventory = Inventory()
        self._token = token
        self._stopping = asyncio.Event()

    async def stop(self, _app: web.Application) -> None:
        """Let the handlers that wait come to their end, so that a shutdown waits for none of them."""
        self._stopping.set()

    # --- the lab backend's routes ------------------------------------------------------------------------

    async def handle(self, route: Route, request: web.Request) -> web.StreamResponse:
        """One call of the service: recorded whatever happens to it."""
        call = self.record.arrived(
            route=route,
            method=request.method,
            authorized=self._token is None or request.headers.get("Authorization") == f"Bearer {self._token}",
            content_type=request.content_type,
        )
        outcome: Any = "cancelled"
        try:
            response = await self._answer(call, request)
            outcome = "dropped" if response is None else response.status
        finally:
            self.record.ended(call, "hung" if call.fault == "hang" else outcome)
        if response is None:
            if request.transport is not None:
                request.transport.close()
            return web.Response()  # aiohttp wants one; it finds the connection closed and writes nothing
        return response

    async def _answer(self, call: Call, request: web.Request) -> web.StreamResponse | None:
        """The answer to a call, or None for none: the connection is to be closed."""
        if not call.authorized:
            return web.json_response({"error": "invalid token"}, status=401)
        try:
            lab_request_id, user_id = _parse(call.route, await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        self.record.identified(call, lab_request_id, user_id)
        fault = self.script.take(call.route, lab_request_id)
        if fault is not None:
            call.fault = str(fault.__struct_config__.tag)
            if await self._stopped_within(fault.waits):
                return None
        if lab_request_id is not None and (fault is None or fault.works):
            self.record.done(call, lab_request_id)
        return await answer(request, self._normal(call.route), fault)

    def _normal(self, route: Route) -> web.Response:
        if route == "list":
            return _json(self.inventory.listed(self.record.vms_deleted))
        status, body = _NORMAL[route]
        return web.Response(body=body, status=status, content_type="application/json")

    async def _stopped_within(self, seconds: float | None) -> bool:
        """Wait so many seconds (None: for ever); True at once when the server stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    # --- the routes of the test --------------------------------------------------------------------------

    async def show_calls(self, request: web.Request) -> web.Response:
        """All calls, or those for one VM, or those that came after one."""
        try:
            after = _number(request, "after", 0)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return _json(self.record.calls(lab_request_id=request.query.get("lab_request_id"), after=after))

    async def clear_calls(self, request: web.Request) -> web.Response:
        """Forget the calls, or those up to one."""
        try:
            self.record.clear(_number(request, "through", None))
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        return web.Response(status=204)

    async def show_counts(self, _request: web.Request) -> web.Response:
        """For whoever asks often while much is going on."""
        record = self.record
        return _json(
            {
                "calls": record.seq,
                "vms_deleted": len(record.vms_deleted),
                "services_deleted": len(record.services_deleted),
            }
        )

    async def show_state(self, _request: web.Request) -> web.Response:
        """What is gone, and how hard we were pressed."""
        return _json(
            {
                "vms_deleted": list(self.record.vms_deleted),
                "services_deleted": list(self.record.services_deleted),
                "max_concurrent_deletes": self.record.max_concurrent_deletes,
            }
        )

    async def put_vms(self, request: web.Request) -> web.Response:
        """Put VMs on the list; 400 naming the field if one of them is none."""
        try:
            self.inventory.put(parse_vms(await request.read()))
        except VmError as error:
            return _json({"error": str(error)}, status=400)
        return _json(self.inventory.listed(self.record.vms_deleted))

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add faults behind those that are there; 400 naming the field if one of them is none."""
        try:
            self.script.add(parse_faults(await request.read()))
        except FaultError as error:
            return _json({"error": str(error)}, status=400)
        return await self.show_faults(request)

    async def show_faults(self, _request: web.Request) -> web.Response:
        """The faults that are still to happen."""
        return _json(self.script.left())

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Forget all faults."""
        self.script.clear()
        return web.Response(status=204)


BACKEND: Final = web.AppKey("backend", Backend)


def make_app(token: str | None = None, *, faults: Iterable[Fault] = ()) -> web.Application:
    """The mock backend as an application; with a `token`, calls without it as bearer get a 401.

    Serve it with `handler_cancellation=True`, or a call whose client has gone stays "in flight" until the end.
    """
    backend = Backend(token, faults)
    app = web.Application()
    app[BACKEND] = backend
    app.on_shutdown.append(backend.stop)
    app.add_routes(
        [
            web.delete("/api/v1/expose/", partial(backend.handle, "expose")),
            web.post("/api/v1/labs/delete", partial(backend.handle, "delete")),
            web.get("/api/v1/labs", partial(backend.handle, "list")),
            web.get("/__calls", backend.show_calls),
            web.delete("/__calls", backend.clear_calls),
            web.get("/__counts", backend.show_counts),
            web.get("/__state", backend.show_state),
            web.post("/__vms", backend.put_vms),
            web.post("/__faults", backend.add_faults),
            web.get("/__faults", backend.show_faults),
            web.delete("/__faults", backend.clear_faults),
        ]
    )
    return app


def _parse(route: Route, body: bytes) -> tuple[str | None, str | None]:
    if route == "list":
        return None, None
    if route == "expose":
        return msgspec.json.decode(body, type=_ExposeBody).lab_request_id, None
    parsed = msgspec.json.decode(body, type=_DeleteBody)
    return parsed.lab_request_id, parsed.user_id


def _number(request: web.Request, name: str, default: T) -> int | T:
    """A number of the query. Raises ValueError naming it."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise ValueError(f"{name} must be a whole number of at least 0, got {text!r}")
    return int(text)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")

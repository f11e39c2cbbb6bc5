"""What the mock backend was asked, and what became of it. Tokens are never recorded."""

import asyncio
import time
from bisect import bisect_right
from typing import Literal

from msgspec import Struct

from labsessions.mockbackend.faults import Route

Unanswered = Literal["dropped", "hung", "cancelled"]


class Call(Struct, kw_only=True, gc=False):
    """One call, recorded when its headers have arrived and completed as more becomes known.

    `status` is None while the call is in flight; `dropped`: the server closed the connection, `hung`: it never
    meant to answer, `cancelled`: the client went first. Instants are wall time in milliseconds since 1970 UTC.

    Without `gc`: it refers to nothing that could refer to it, and a collector that walks a hundred thousand of them
    would make the answers late.
    """

    seq: int
    at_ms: int
    route: Route
    method: str
    authorized: bool
    content_type: str
    lab_request_id: str | None = None
    user_id: str | None = None
    fault: str | None = None
    status: int | Unanswered | None = None
    work_done: bool = False
    ended_ms: int | None = None


class Record:
    """All calls in the order of their arrival, the VMs that are gone, and how many deletions ran at once."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self.seq = 0  # of the last call: how many there were
        self._changed = asyncio.Event()
        self._deleting = 0
        self.max_concurrent_deletes = 0
        self.vms_deleted: dict[str, None] = {}  # a dict, because a set would lose the order
        self.services_deleted: dict[str, None] = {}

    def arrived(self, *, route: Route, method: str, authorized: bool, content_type: str) -> Call:
        """Enter a call whose body has still to be read."""
        self.seq += 1
        call = Call(
            seq=self.seq,
            at_ms=_now_ms(),
            route=route,
            method=method,
            authorized=authorized,
            content_type=content_type,
        )
        self._calls.append(call)
        if route == "delete":
            self._deleting += 1
            self.max_concurrent_deletes = max(self.max_concurrent_deletes, self._deleting)
        return call

    def identified(self, call: Call, lab_request_id: str | None, user_id: str | None) -> None:
        """Say what the call is about."""
        call.lab_request_id, call.user_id = lab_request_id, user_id
        self._changed.set()

    def done(self, call: Call, lab_request_id: str) -> None:
        """Do the work of the call. It is idempotent, so a second time is as good as the first."""
        (self.vms_deleted if call.route == "delete" else self.services_deleted)[lab_request_id] = None
        call.work_done = True

    def ended(self, call: Call, status: int | Unanswered) -> None:
        """Say how the call ended. Called once for each."""
        call.status, call.ended_ms = status, _now_ms()
        if call.route == "delete":
            self._deleting -= 1
        self._changed.set()

    def calls(self, *, route: Route | None = None, lab_request_id: str | None = None, after: int = 0) -> list[Call]:
        """The calls on this route and for this VM (None: any), with a larger `seq` than `after`."""
        return [
            call
            for call in self._calls[bisect_right(self._calls, after, key=_seq) :]
            if route in (None, call.route) and lab_request_id in (None, call.lab_request_id)
        ]

    def clear(self, through: int | None = None) -> None:
        """Forget the calls up to this `seq` (None: all); the numbering goes on, and what is deleted stays deleted."""
        del self._calls[: None if through is None else bisect_right(self._calls, through, key=_seq)]

    async def wait_for_calls(self, n: int, *, route: Route | None = None) -> list[Call]:
        """Wait until n calls are known by what they are about (or have ended before), and return all of those."""
        while len(found := [call for call in self.calls(route=route) if call.lab_request_id or call.status]) < n:
            self._changed.clear()
            await self._changed.wait()
        return found


def _seq(call: Call) -> int:
    return call.seq


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""What the backend has to be asked for, against what it was asked for: nothing lost, nothing twice, nothing early.

The mock backend of a benchmark answers every call at once and well, so each lab owes it two calls and gets no third.
"""

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Final

import msgspec

from labsessions.bench.labs import Requests
from labsessions.bench.load import NO_CONTENT, LoadError, Pool
from labsessions.bench.stage import BACKEND_TOKEN
from labsessions.children import Child
from labsessions.mockbackend import Call

OK: Final = 200


class Counts(msgspec.Struct):
    """How much the mock backend was asked so far."""

    calls: int
    vms_deleted: int
    services_deleted: int


class Record:
    """The mock backend's record, taken piece by piece, so that it doesn't grow for as long as a run lasts."""

    def __init__(self, backend: Child) -> None:
        self._pool = Pool(backend.url)
        self._requests = Requests(backend.url, BACKEND_TOKEN)
        self._taken = 0

    async def counts(self) -> Counts:
        """What has happened so far. Raises LoadError if the mock backend doesn't say."""
        return msgspec.json.decode(await self._ask("GET", "/__counts"), type=Counts)

    async def take(self) -> list[Call]:
        """The calls since the last time, up to the first one that is still in flight. Raises LoadError."""
        calls = msgspec.json.decode(await self._ask("GET", f"/__calls?after={self._taken}"), type=list[Call])
        in_flight = next((index for index, call in enumerate(calls) if call.status is None), len(calls))
        if ended := calls[:in_flight]:
            self._taken = ended[-1].seq
            await self._ask("DELETE", f"/__calls?through={self._taken}")
        return ended

    def close(self) -> None:
        """Let go of the connection."""
        self._pool.close()

    async def _ask(self, method: str, path: str) -> bytes:
        answer = await self._pool.ask(self._requests.bytes(method, path))
        if answer.status not in {OK, NO_CONTENT}:
            raise LoadError(f"{method} {path} of the mock backend: {answer.status}")
        return answer.body


@dataclass(slots=True)
class _Lab:
    deadline_ms: int
    first_ms: int | None = None  # when its first call arrived
    services: int = 0
    deletions: int = 0


class Ledger:
    """The labs whose time ends during a scenario, by their VM."""

    def __init__(self) -> None:
        self._labs: dict[str, _Lab] = {}
        self._wrong: Counter[str] = Counter()
        self._example: dict[str, str] = {}
        self.lateness_ms: array[int] = array("q")  # from each deadline to the arrival of the first call
        self.confirmed = 0
        self.last_confirmed_ms = 0

    def expect(self, vm: str, deadline_ms: int) -> None:
        """This lab ends then."""
        self._labs[vm] = _Lab(deadline_ms)

    def note(self, call: Call) -> None:
        """One call of the record."""
        vm = str(call.lab_request_id)
        lab = self._labs.get(vm)
        if lab is None:
            self._fault("calls for a lab whose time wasn't over, or that was done with", vm)
            return
        if lab.first_ms is None:
            lab.first_ms = call.at_ms
            self.lateness_ms.append(call.at_ms - lab.deadline_ms)
            if call.at_ms < lab.deadline_ms:
                self._fault("labs were cleaned up before their deadline", vm)
        if not call.work_done:
            self._fault(f"calls were answered {call.status}", vm)
        elif call.route == "expose":
            lab.services += 1
            if lab.services > 1:
                self._fault("services were asked for again", vm)
        else:
            lab.deletions += 1
            self.last_confirmed_ms = max(self.last_confirmed_ms, call.ended_ms or call.at_ms)
            if lab.deletions == 1:
                self.confirmed += 1
            else:
                self._fault("VMs were asked for again although they were confirmed", vm)

    def settle(self, before_ms: int) -> None:
        """Forget the labs that ended before then and are done with; a further call for one of them is a fault."""
        self._labs = {vm: lab for vm, lab in self._labs.items() if lab.deadline_ms >= before_ms or not lab.deletions}

    @property
    def owed(self) -> int:
        """How many labs have not been confirmed yet."""
        return sum(not lab.deletions for lab in self._labs.values())

    def faults(self) -> list[str]:
        """Everything that is wrong now that all labs should be done with."""
        for vm, lab in self._labs.items():
            if not lab.deletions:
                self._fault("labs are lost: their VM was never asked for", vm)
        return [f"{count} {kind}, e.g. {self._example[kind]}" for kind, count in self._wrong.items()]

    def _fault(self, kind: str, vm: str) -> None:
        self._wrong[kind] += 1
        self._example.setdefault(kind, vm)

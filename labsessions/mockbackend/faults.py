"""What may go wrong at the mock backend, as data: the faults, their JSON, and which call meets which.

In JSON a fault is `{"kind": …, "route": …, "lab_request_id": …, "times": …}` and the members of its kind:

| kind | members | meaning |
| --- | --- | --- |
| `status` | `status`, `retry_after`, `location` | this status; the work is done if it is a 2xx |
| `slow` | `seconds` | answers properly, but only then |
| `hang` | | never answers, until the client goes or the server stops |
| `drop` | | closes the connection without an answer; the work is not done |
| `lost` | | does the work, then closes the connection: the lost answer |
| `non_json` | | does the work, and answers 200 with an HTML page |
| `huge` | `bytes` | does the work, and answers 200 with a body of that size |
| `redirect` | `status`, `location` | sends the client elsewhere; the work is not done |

This module answers nothing and waits for nothing; `app` acts the faults out.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

Route = Literal["expose", "delete", "list"]

HeaderText = Annotated[str, Meta(pattern=r"\A[ -~]*\Z")]  # what may stand in a header: printable ASCII


class FaultError(ValueError):
    """The JSON is not a fault; the text names the field."""


class _Fault(Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """Which calls a fault meets (null: any) and how often (null: until deleted)."""

    route: Route | None = None
    lab_request_id: str | None = None
    times: Annotated[int, Meta(ge=1)] | None = None

    def meets(self, route: Route, lab_request_id: str | None) -> bool:
        """Whether a call on this route for this VM is one that the fault is meant for."""
        return self.route in (None, route) and self.lab_request_id in (None, lab_request_id)

    @property
    def waits(self) -> float | None:
        """Seconds before anything else happens; None: for ever."""
        return 0

    @property
    def works(self) -> bool:
        """Whether the work is done all the same."""
        return False


class Status(_Fault, frozen=True, kw_only=True, tag="status"):
    """Answers this status. `retry_after` is seconds or, as a string, whatever the header shall say."""

    status: Annotated[int, Meta(ge=200, le=599)]
    retry_after: Annotated[int, Meta(ge=0)] | HeaderText | None = None
    location: HeaderText | None = None

    @property
    def works(self) -> bool:
        """Done if the answer says so."""
        return 200 <= self.status < 300  # noqa: PLR2004 - a 2xx


class Slow(_Fault, frozen=True, kw_only=True, tag="slow"):
    """Waits for so many seconds, then answers as if nothing were."""

    seconds: Annotated[float, Meta(ge=0)]

    @property
    def waits(self) -> float:
        """As scripted."""
        return self.seconds

    @property
    def works(self) -> bool:
        """Done, whatever the client gets to hear."""
        return True


class Hang(_Fault, frozen=True, kw_only=True, tag="hang"):
    """Never answers."""

    @property
    def waits(self) -> None:
        """Until the client goes or the server stops."""


class Drop(_Fault, frozen=True, kw_only=True, tag="drop"):
    """Closes the connection; nothing was done."""


class Lost(_Fault, frozen=True, kw_only=True, tag="lost"):
    """Closes the connection although the work was done."""

    @property
    def works(self) -> bool:
        """Done, whatever the client gets to hear."""
        return True


class NonJson(_Fault, frozen=True, kw_only=True, tag="non_json"):
    """200 with an HTML page."""

    @property
    def works(self) -> bool:
        """Done, whatever the client gets to hear."""
        return True


class Huge(_Fault, frozen=True, kw_only=True, tag="huge"):
    """200 with a body of so many bytes."""

    bytes: Annotated[int, Meta(ge=0)]

    @property
    def works(self) -> bool:
        """Done, whatever the client gets to hear."""
        return True


class Redirect(_Fault, frozen=True, kw_only=True, tag="redirect"):
    """Sends the client elsewhere."""

    status: Annotated[int, Meta(ge=300, le=399)] = 307
    location: HeaderText = "/moved"


Fault = Status | Slow | Hang | Drop | Lost | NonJson | Huge | Redirect

_DECODER: Final = msgspec.json.Decoder(Fault | list[Fault])


def parse_faults(text: str | bytes) -> list[Fault]:
    """The faults in a JSON text, which is one of them or a list. Raises FaultError naming the field."""
    try:
        decoded = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FaultError(str(error)) from error
    return decoded if isinstance(decoded, list) else [decoded]


def fail_next(times: int) -> Fault:
    """The next `times` deletions of a VM answer 500; step 1, whose failure would be harmless, is left alone."""
    return Status(status=500, route="delete", times=times)


class FaultScript:
    """The faults that are still to happen, in the order they were given."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Append faults behind those that are there."""
        self._faults.extend(faults)

    def clear(self) -> None:
        """Forget all of them; calls that have met one already go on with it."""
        self._faults.clear()

    def left(self) -> list[Fault]:
        """What is still to happen; `times` is what is left of it."""
        return list(self._faults)

    def take(self, route: Route, lab_request_id: str | None) -> Fault | None:
        """The first fault that meets this call, used up by one time; None: the call goes well."""
        for index, fault in enumerate(self._faults):
            if fault.meets(route, lab_request_id):
                if fault.times is not None:
                    left = fault.times - 1
                    self._faults[index : index + 1] = [msgspec.structs.replace(fault, times=left)] if left else []
                return fault
        return None

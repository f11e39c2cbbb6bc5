"""A cleanup attempt at the lab backend: the order of its calls, their shares of the time, its log lines, its outcome.

It decides nothing about sessions and keeps nothing; what a failed attempt leads to is the core's business.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from labsessions import log_lines
from labsessions.backend.reasons import Outage, one_line, shorten
from labsessions.core.messages import AttemptEnded, Clean
from labsessions.log_lines import bound_logger

ERROR_CHARS: Final = 500  # of an attempt's error: it is stored with the session and shown in a table
NO_TIME: Final = "no time left in this attempt"


class Calls(Protocol):
    """The two calls, as `BackendClient` makes them and a simulator may."""

    @property
    def missing(self) -> str | None:
        """What has to be set before a call makes sense, or None."""
        ...

    async def delete_services(self, master: str, seconds: float) -> str | None:
        """Step 1: None, or the reason why it failed. Never raises but on cancellation."""
        ...

    async def delete_vm(self, vm: str, user_id: str, seconds: float) -> str | None:
        """Step 2 for one VM: None if it is confirmed, or the reason. Never raises but on cancellation."""
        ...


class BackendCleaner:
    """The port `Cleaner` on a backend client. `last_error` is that of the attempt that ended last, for health."""

    def __init__(self, client: Calls) -> None:
        self._client = client
        self._log = bound_logger()
        self.last_error: str | None = None

    async def clean(self, effect: Clean) -> AttemptEnded:
        """Make the calls of CONTRACT §2 within the effect's limit; never raises but on cancellation.

        One call after the other. Each gets an equal share of the time that is left, so the last one ends within
        the limit, and a call that hangs cannot use up the time of those behind it.
        """
        if (missing := self._client.missing) is not None:
            return self._ended(effect, confirmed=[], error=missing)
        self._log.info(
            log_lines.CALLING, user=effect.user_id, lab=effect.master, attempt=effect.attempt, vms=len(effect.vms)
        )
        clock = asyncio.get_running_loop().time
        time = Shares(calls=effect.services + len(effect.vms), seconds=effect.limit_ms / 1000, clock=clock)
        heard = [await self._delete_services(effect, time.next())] if effect.services else []
        confirmed: list[str] = []
        failed: dict[str, str] = {}
        for vm in effect.vms:
            reason = await self._delete_vm(effect, vm, time.next())
            heard.append(reason)
            if reason is None:
                confirmed.append(vm)
            else:
                failed[vm] = reason
        return self._ended(effect, confirmed, error=_summary(effect, failed) if failed else None, backend_up=_up(heard))

    async def _delete_services(self, effect: Clean, seconds: float) -> str | None:
        """Step 1, best effort: whatever comes of it, the cleanup goes on."""
        reason = await self._client.delete_services(effect.master, seconds) if seconds > 0 else NO_TIME
        if reason is None:
            self._log.info(log_lines.SERVICES_DELETED, user=effect.user_id, lab=effect.master)
        else:
            self._log.warning(log_lines.SERVICES_FAILED, user=effect.user_id, lab=effect.master, reason=reason)
        return reason

    async def _delete_vm(self, effect: Clean, vm: str, seconds: float) -> str | None:
        """Step 2 for one VM: None if it is confirmed, else the reason."""
        reason = await self._client.delete_vm(vm, effect.user_id, seconds) if seconds > 0 else NO_TIME
        fields = {"user": effect.user_id, "lab": vm, "role": _role(effect, vm)}
        if reason is None:
            self._log.info(log_lines.VM_DELETED, **fields)
        else:
            self._log.error(log_lines.VM_FAILED, **fields, reason=reason)
        return reason

    def _ended(
        self, effect: Clean, confirmed: list[str], error: str | None, *, backend_up: bool | None = None
    ) -> AttemptEnded:
        self.last_error = error
        return AttemptEnded(effect.generation, effect.attempt, tuple(confirmed), error, backend_up)


class Shares:
    """Divides the time of an attempt among its calls: what one leaves over goes to those behind it."""

    def __init__(self, *, calls: int, seconds: float, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._deadline = clock() + seconds

    def next(self) -> float:
        """Seconds for the next call; not above 0 if the time is over. At most `calls` times."""
        share = (self._deadline - self._clock()) / self._calls
        self._calls -= 1
        return share


def _up(heard: list[str | None]) -> bool | None:
    """What the calls of an attempt tell of the backend as a whole, by the reasons of their failures (None: confirmed).

    One answer about this lab is enough to say that it is there: holding everybody back needs better evidence than a
    VM that hangs or breaks, while its services were removed. A call for which no time was left tells nothing.
    """
    told = [reason for reason in heard if reason != NO_TIME]
    return any(not isinstance(reason, Outage) for reason in told) if told else None


def _role(effect: Clean, vm: str) -> str:
    return "master" if vm == effect.master else "worker"


def _summary(effect: Clean, failed: Mapping[str, str]) -> str:
    """Which VMs are still there and why, in one bounded line."""
    named = "; ".join(f"{vm} ({_role(effect, vm)}): {reason}" for vm, reason in failed.items())
    return shorten(one_line(f"{len(failed)} of {len(effect.vms)} VMs not deleted: {named}"), ERROR_CHARS)

"""What an attempt tells of the backend as a whole: down, there, or nothing. The circuit breaker goes by it."""

import ssl
from collections.abc import Mapping

import aiohttp
import pytest
from cleaners import open_cleaner

from labsessions.backend import BackendCleaner, BackendSettings, reasons
from labsessions.backend.reasons import OUTAGES, Outage
from labsessions.core.messages import Clean
from labsessions.mockbackend import Drop, Fault, Hang, Status, running

SERVICES = "services"
DOWN = Outage("HTTP 503")
REFUSED = "HTTP 409"
EFFECT = Clean("gen-1", 1, "ann", "vm-1", ("vm-1", "vm-2"), 2000)


class ScriptedCalls:
    """Fails each call for the reason that is set for it."""

    missing: str | None = None

    def __init__(self, failures: Mapping[str, str]) -> None:
        self._failures = failures

    async def delete_services(self, master: str, seconds: float) -> str | None:  # noqa: ARG002
        """See `Calls`."""
        return self._failures.get(SERVICES)

    async def delete_vm(self, vm: str, user_id: str, seconds: float) -> str | None:  # noqa: ARG002
        """See `Calls`."""
        return self._failures.get(vm)


@pytest.mark.parametrize(
    ("failures", "up"),
    [
        ({}, True),
        ({SERVICES: DOWN, "vm-1": DOWN, "vm-2": DOWN}, False),
        ({"vm-1": DOWN, "vm-2": DOWN}, True),  # its services were removed
        ({SERVICES: DOWN, "vm-1": DOWN}, True),  # one VM was confirmed
        ({SERVICES: DOWN, "vm-1": REFUSED, "vm-2": DOWN}, True),  # an answer about one VM is an answer
        ({SERVICES: REFUSED, "vm-1": DOWN, "vm-2": DOWN}, True),
        ({SERVICES: REFUSED, "vm-1": REFUSED, "vm-2": REFUSED}, True),
    ],
)
async def test_the_backend_is_down_if_not_one_call_had_an_answer(failures: Mapping[str, str], up: bool) -> None:  # noqa: FBT001 - a table
    """One answer about this lab is enough for it to be there, whatever else failed."""
    assert (await BackendCleaner(ScriptedCalls(failures)).clean(EFFECT)).backend_up is up


async def test_without_a_call_nothing_is_known() -> None:
    """Not configured, or no time: neither up nor down."""
    async with open_cleaner(BackendSettings()) as cleaner:
        assert (await cleaner.clean(EFFECT)).backend_up is None
    no_time = Clean("gen-1", 1, "ann", "vm-1", ("vm-1",), 0)
    assert (await BackendCleaner(ScriptedCalls({})).clean(no_time)).backend_up is None


@pytest.mark.parametrize(
    ("fault", "up"),
    [
        (Status(status=503), False),
        (Status(status=429, retry_after=3600), False),
        (Status(status=401), False),
        (Status(status=307, location="/elsewhere"), False),
        (Drop(), False),
        (Hang(), False),
        (Status(status=403), True),
        (Status(status=404), True),
        (Status(status=410), True),
        (Status(status=503, route="delete"), True),
        (Hang(route="delete"), True),
    ],
)
async def test_over_real_sockets(fault: Fault, up: bool) -> None:  # noqa: FBT001 - a table
    """Each fault by itself; on one route only, the other route's answer counts."""
    async with running(token="t", faults=[fault]) as mock:
        settings = BackendSettings(url=mock.url, token="t", quick_retries=0, call_timeout_seconds=0.3)
        async with open_cleaner(settings) as cleaner:
            assert (await cleaner.clean(EFFECT)).backend_up is up


async def test_nobody_listens() -> None:
    """A refused connection is an outage."""
    settings = BackendSettings(url="http://127.0.0.1:1", token="t", quick_retries=0)
    async with open_cleaner(settings) as cleaner:
        assert (await cleaner.clean(EFFECT)).backend_up is False


def test_whatever_is_raised_is_an_outage() -> None:
    """There was no answer: connection, DNS, TLS, not HTTP, a wrong address; and so is a timeout."""
    raised = (ssl.CertificateError(), aiohttp.ServerDisconnectedError(), aiohttp.InvalidURL("x"), ValueError())
    assert all(isinstance(reasons.of_exception(error), Outage) for error in raised)
    assert isinstance(reasons.timed_out(1), Outage)


def test_the_statuses_that_concern_every_lab() -> None:
    """Redirects, tokens, rates, errors of the server: from the first to the last, and none beside."""
    inside = (300, 399, 401, 407, 408, 429, 500, 599)
    beside = (200, 299, 400, 402, 403, 404, 406, 409, 410, 428, 430, 499)
    assert [status in OUTAGES for status in (*inside, *beside)] == [True] * len(inside) + [False] * len(beside)

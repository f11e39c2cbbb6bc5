"""A cleanup attempt against the mock backend over real sockets: order, outcome, shares of time, log lines."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cleaners import open_cleaner
from msgspec import structs
from structlog.testing import capture_logs

from labsessions import log_lines
from labsessions.backend import BackendCleaner, BackendSettings
from labsessions.backend.cleaner import Shares
from labsessions.core.messages import AttemptEnded, Clean
from labsessions.mockbackend import Drop, Fault, Hang, Lost, MockBackend, Slow, Status, running
from labsessions.ports import Cleaner

TOKEN = "t0p/secret"
VMS = ("vm-1", "vm-2", "vm-3")


@pytest.fixture
async def mock() -> AsyncIterator[MockBackend]:
    """A lab backend where all goes well until a fault is added."""
    async with running(token=TOKEN) as mock:
        yield mock


@pytest.fixture
async def cleaner(mock: MockBackend) -> AsyncIterator[BackendCleaner]:
    """A cleaner for it."""
    settings = BackendSettings(url=mock.url, token=TOKEN)
    async with open_cleaner(settings, random.Random(1)) as cleaner:  # noqa: S311 - jitter, seeded
        yield cleaner


def clean(*vms: str, limit_ms: int = 2000, attempt: int = 1) -> Clean:
    """The effect for these VMs, of a lab whose master is vm-1."""
    return Clean("gen-1", attempt, "ann", "vm-1", vms, limit_ms)


def calls(mock: MockBackend) -> list[tuple[str, str | None, str | None]]:
    """What the backend was asked for."""
    return [(call.route, call.lab_request_id, call.user_id) for call in mock.calls()]


async def test_services_first_then_each_vm_in_order(mock: MockBackend, cleaner: Cleaner) -> None:
    """Step 1 names the master, step 2 each VM with its user; all confirmed is no error. All calls are authorized."""
    assert await cleaner.clean(clean(*VMS, attempt=3)) == AttemptEnded("gen-1", 3, VMS, None, backend_up=True)
    assert calls(mock) == [("expose", "vm-1", None), *(("delete", vm, "ann") for vm in VMS)]
    assert all(call.authorized and call.content_type == "application/json" for call in mock.calls())
    assert mock.max_concurrent_deletes == 1


async def test_only_the_vms_of_the_effect_are_asked_for(mock: MockBackend, cleaner: Cleaner) -> None:
    """A later attempt asks for what is left, and still removes the services of the master."""
    assert await cleaner.clean(clean("vm-3")) == AttemptEnded("gen-1", 1, ("vm-3",), None, backend_up=True)
    assert calls(mock) == [("expose", "vm-1", None), ("delete", "vm-3", "ann")]


async def test_services_that_belong_to_a_newer_session_are_left_alone(mock: MockBackend, cleaner: Cleaner) -> None:
    """Step 1 is left out where the effect says so, and nothing else changes."""
    effect = structs.replace(clean("vm-2", "vm-3"), services=False)
    assert await cleaner.clean(effect) == AttemptEnded("gen-1", 1, ("vm-2", "vm-3"), None, backend_up=True)
    assert calls(mock) == [("delete", "vm-2", "ann"), ("delete", "vm-3", "ann")]


async def test_log_lines_of_a_good_attempt(cleaner: Cleaner) -> None:
    """The exact texts of the contract, with the ids as fields."""
    with capture_logs() as lines:
        await cleaner.clean(clean("vm-1", "vm-2", attempt=2))
    assert lines == [
        {"event": log_lines.CALLING, "log_level": "info", "user": "ann", "lab": "vm-1", "attempt": 2, "vms": 2},
        {"event": log_lines.SERVICES_DELETED, "log_level": "info", "user": "ann", "lab": "vm-1"},
        {"event": log_lines.VM_DELETED, "log_level": "info", "user": "ann", "lab": "vm-1", "role": "master"},
        {"event": log_lines.VM_DELETED, "log_level": "info", "user": "ann", "lab": "vm-2", "role": "worker"},
    ]


async def test_a_failure_of_step_1_is_only_a_warning(mock: MockBackend, cleaner: BackendCleaner) -> None:
    """The VMs are deleted all the same, and the attempt has succeeded."""
    mock.add_fault(Status(status=404, route="expose"))
    with capture_logs() as lines:
        assert await cleaner.clean(clean("vm-1")) == AttemptEnded("gen-1", 1, ("vm-1",), None, backend_up=True)
    assert lines[1] == {
        "event": log_lines.SERVICES_FAILED,
        "log_level": "warning",
        "user": "ann",
        "lab": "vm-1",
        "reason": 'HTTP 404 ({"error": "scripted 404"})',
    }
    assert cleaner.last_error is None


async def test_one_vm_that_fails_stops_none_of_the_others(mock: MockBackend, cleaner: BackendCleaner) -> None:
    """The confirmed ones are in the outcome, the failed one is named with its reason."""
    mock.add_fault(Status(status=400, lab_request_id="vm-2"))
    with capture_logs() as lines:
        ended = await cleaner.clean(clean(*VMS))
    assert ended.confirmed == ("vm-1", "vm-3")
    assert ended.error == '1 of 3 VMs not deleted: vm-2 (worker): HTTP 400 ({"error": "scripted 400"})'
    assert cleaner.last_error == ended.error
    assert [line["event"] for line in lines[2:]] == [log_lines.VM_DELETED, log_lines.VM_FAILED, log_lines.VM_DELETED]
    assert lines[3]["log_level"] == "error"
    assert (lines[3]["lab"], lines[3]["role"]) == ("vm-2", "worker")
    await cleaner.clean(clean("vm-1"))
    assert cleaner.last_error is None


@pytest.mark.parametrize("hung", range(4))
async def test_a_call_that_hangs_cannot_use_up_the_time_of_the_others(
    mock: MockBackend, cleaner: Cleaner, hung: int
) -> None:
    """Whichever call hangs, step 1 included: all others get theirs, and the attempt ends within its limit."""
    mock.add_fault(Hang(route="expose") if hung == 0 else Hang(route="delete", lab_request_id=VMS[hung - 1]))
    loop = asyncio.get_running_loop()
    began = loop.time()
    ended = await cleaner.clean(clean(*VMS, limit_ms=2000))
    assert loop.time() - began < 5  # the limit, and patience with a busy machine; without it minutes
    assert ended.confirmed == tuple(vm for number, vm in enumerate(VMS, 1) if number != hung)
    assert (ended.error is None) == (hung == 0)


def test_each_share_is_the_time_left_by_the_calls_left() -> None:
    """What a call leaves over goes to those behind it; what it overdraws is taken from them."""
    now = 100.0
    shares = Shares(calls=4, seconds=60, clock=lambda: now)
    assert shares.next() == 15
    now += 15
    assert shares.next() == 15
    now += 1
    assert shares.next() == 22
    now += 44
    assert shares.next() == 0


async def test_every_call_hangs(mock: MockBackend, cleaner: Cleaner) -> None:
    """Each is made and has its reason, and the attempt ends with its limit."""
    mock.add_fault(Hang())
    loop = asyncio.get_running_loop()
    began = loop.time()
    with capture_logs() as lines:
        ended = await cleaner.clean(clean(*VMS, limit_ms=800))
    assert loop.time() - began < 5
    assert ended.confirmed == ()
    assert [line["reason"].partition(" after ")[0] for line in lines[1:]] == ["timed out"] * 4
    assert len(mock.calls()) == 4


async def test_the_call_timeout_bounds_a_share(mock: MockBackend) -> None:
    """With much time for an attempt, one call still gets no more than its own timeout."""
    mock.add_fault(Hang())
    settings = BackendSettings(url=mock.url, token=TOKEN, call_timeout_seconds=0.05)
    async with open_cleaner(settings) as cleaner, asyncio.timeout(5):
        ended = await cleaner.clean(clean("vm-1", limit_ms=60_000))
    assert ended.error == "1 of 1 VMs not deleted: vm-1 (master): timed out after 0.05 s"


async def test_no_time_no_call(mock: MockBackend, cleaner: Cleaner) -> None:
    """A limit that has passed already sends nothing and says so."""
    ended = await cleaner.clean(clean("vm-1", limit_ms=0))
    assert ended.error == "1 of 1 VMs not deleted: vm-1 (master): no time left in this attempt"
    assert mock.calls() == []


@pytest.mark.parametrize(
    ("url", "token", "error"),
    [
        (None, TOKEN, "BACKEND_API_URL is not set"),
        ("", TOKEN, "BACKEND_API_URL is not set"),
        ("http://127.0.0.1:1", None, "BACKEND_API_TOKEN is not set"),
        ("http://127.0.0.1:1", "", "BACKEND_API_TOKEN is not set"),
        (None, None, "BACKEND_API_URL is not set"),
    ],
)
async def test_without_url_or_token_an_attempt_fails_without_a_call(
    url: str | None, token: str | None, error: str
) -> None:
    """The error says what to set; nothing is logged as an attempt at the backend."""
    async with open_cleaner(BackendSettings(url=url, token=token)) as cleaner:
        with capture_logs() as lines:
            assert await cleaner.clean(clean(*VMS)) == AttemptEnded("gen-1", 1, (), error)
    assert lines == []
    assert cleaner.last_error == error


async def test_cancellation_stops_at_once_and_starts_no_further_call(mock: MockBackend, cleaner: Cleaner) -> None:
    """An abandoned attempt is not heard of again, and the client works on for others."""
    mock.add_fault(Hang(lab_request_id="vm-1", route="delete"))
    task = asyncio.create_task(cleaner.clean(clean(*VMS, limit_ms=60_000)))
    await mock.wait_for_calls(1, route="delete")
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task
    mock.clear_faults()
    assert (await cleaner.clean(clean("vm-9"))).confirmed == ("vm-9",)
    assert [call.lab_request_id for call in mock.calls(route="delete")] == ["vm-1", "vm-9"]


async def test_cancellation_during_the_pause_before_a_retry(mock: MockBackend, cleaner: Cleaner) -> None:
    """The pause is no reason to finish anything."""
    mock.add_fault(Status(status=503, retry_after=30))
    task = asyncio.create_task(cleaner.clean(clean("vm-1", limit_ms=120_000)))
    await mock.wait_for_calls(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(mock.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "confirmed"),
    [
        (Lost(times=1), True),
        (Drop(times=2), True),
        (Status(status=500, times=2), True),
        (Status(status=500, times=3), False),
        (Slow(seconds=0.01), True),
        (Lost(), False),
    ],
)
async def test_a_hiccup_is_bridged_within_the_attempt(
    mock: MockBackend,
    cleaner: Cleaner,
    fault: Fault,
    confirmed: bool,  # noqa: FBT001 - a table
) -> None:
    """Two quick retries a call: a lost answer is asked for again, a third failure is one for the durable retry."""
    mock.add_fault(Status(status=400, route="expose"), fault)
    ended = await cleaner.clean(clean("vm-1", limit_ms=200))
    assert ended.confirmed == (("vm-1",) if confirmed else ())


async def test_a_lost_answer_is_no_confirmation(mock: MockBackend, cleaner: Cleaner) -> None:
    """The backend did the work, but nobody said so: the VM is asked for again by the next attempt."""
    mock.add_fault(Lost(route="delete"))
    ended = await cleaner.clean(clean("vm-1", limit_ms=200))
    assert ended.error == "1 of 1 VMs not deleted: vm-1 (master): connection dropped"
    assert mock.deleted == ["vm-1"]
    mock.clear_faults()
    assert (await cleaner.clean(clean("vm-1"))).error is None


async def test_the_error_is_one_bounded_line() -> None:
    """Many VMs with long, strange ids: 500 characters and no line break."""
    vms = tuple(f"vm-{number}\n" + "x" * 100 for number in range(20))
    async with open_cleaner(BackendSettings(url="http://127.0.0.1:1", token=TOKEN, quick_retries=0)) as cleaner:
        ended = await cleaner.clean(clean(*vms))
    assert ended.error is not None
    assert ended.error.startswith("20 of 20 VMs not deleted: vm-0 x")
    assert len(ended.error) == 500
    assert ended.error.isprintable()


async def test_the_token_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Not in a line of our log or a library's, not in the outcome, not in the repr of the settings."""
    caplog.set_level(logging.DEBUG)
    async with running(faults=[Drop(route="expose"), Status(status=401)]) as mock:
        settings = BackendSettings(url=mock.url, token="wrong-token")
        seen: list[Any] = [settings]
        async with open_cleaner(settings) as cleaner:
            with capture_logs() as lines:
                seen.append(await cleaner.clean(clean(*VMS, limit_ms=400)))
    seen += [lines, caplog.text]
    assert "HTTP 401: check BACKEND_API_TOKEN" in repr(seen)
    assert "wrong-token" not in repr(seen)
    assert "aiohttp_retry" not in caplog.text
    assert len(mock.calls(route="delete")) == 3  # a 401 is not tried again

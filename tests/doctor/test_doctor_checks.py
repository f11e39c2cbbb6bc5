"""The other checks, each by itself: the data directory, the wake-ups, the clock, the lab backend."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from data_files import data_with

from actors.directory import DataDirectory
from actors.pause import Paused
from labsessions.core.projection import iso
from labsessions.doctor import backend, clock, directory, examine, wakeups
from labsessions.doctor.census import Census
from labsessions.doctor.clock import AHEAD_MS, DRIFT_MS, Clocks
from labsessions.doctor.directory import SCARCE_BYTES
from labsessions.doctor.findings import Finding

NOW = 1_764_000_000_000
HOUR = 3_600_000
TOKEN = "s3cret-token"
NOBODY = 65_534
LEAST = 64 * 1_048_576


def levels(findings: list[Finding]) -> list[str]:
    """How bad each is."""
    return [finding.level for finding in findings]


# --- the data directory ----------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder as the service makes it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


def test_a_folder_that_is_not_there_is_only_a_warning(tmp_path: Path) -> None:
    """The first start makes it; the doctor doesn't."""
    assert levels(list(directory.check(tmp_path / "none", "x.db", LEAST))) == ["warning"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place_is_a_fault(tmp_path: Path) -> None:
    """It cannot be used."""
    (tmp_path / "data").write_text("x")
    assert levels(list(directory.check(tmp_path / "data", "x.db", LEAST))) == ["fault"]


@pytest.mark.parametrize(("mode", "level"), [(0o700, "ok"), (0o710, "warning"), (0o704, "warning"), (0o755, "warning")])
def test_a_folder_that_others_may_look_into_is_a_warning(data: Path, mode: int, level: str) -> None:
    """What clients sent is in it."""
    data.chmod(mode)
    assert next(directory.check(data, "x.db", LEAST)).level == level


@pytest.mark.parametrize(
    ("free", "least", "level"),
    [
        (LEAST - 1, LEAST, "fault"),
        (LEAST, LEAST, "warning"),
        (SCARCE_BYTES - 1, LEAST, "warning"),
        (SCARCE_BYTES, LEAST, "ok"),
        (SCARCE_BYTES, SCARCE_BYTES + 1, "fault"),
        (0, 0, "warning"),
    ],
)
def test_room_is_measured(data: Path, free: int, least: int, level: str) -> None:
    """Little is a warning; less than readiness wants to see is a fault, unless that is off."""
    rooms = [finding for finding in directory.check(data, "x.db", least, lambda: free) if "free" in finding.found]
    assert levels(rooms) == [level]


def test_whether_a_service_is_running_is_seen_and_changes_nothing(data: Path) -> None:
    """By the lock that it holds; a look makes no lock file, and takes nobody's hold away."""
    assert directory.is_held(data) is False
    assert list(data.iterdir()) == []
    holder = DataDirectory(data)
    holder.claim()
    assert directory.is_held(data) is True
    assert directory.is_held(data) is True
    holder.release()
    assert directory.is_held(data) is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_a_warning(data: Path) -> None:
    """Left by a command that root has run: the service could not open it."""
    (data / "x.db").write_text("")
    os.chown(data / "x.db", 12345, 12345)
    (foreign,) = [finding for finding in directory.check(data, "x.db", LEAST) if "owner (" in finding.found]
    assert (foreign.level, str(data / "x.db") in foreign.found) == ("warning", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not_look_is_told_so(data: Path) -> None:
    """Run by somebody else than the service's user: faults that say so, and no traceback."""
    data_with(data, [])
    (data / "lock").touch()
    os.seteuid(NOBODY)
    try:
        findings = list(examine({"data_dir": data}, {}, None))
    finally:
        os.seteuid(0)
    for check in ("data", "database"):
        (finding,) = [finding for finding in findings if finding.check == check]
        assert (finding.level, finding.found.startswith("this user may not")) == ("fault", True)


# --- the wake-ups ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late_ms", "held", "level"),
    [
        (None, True, "ok"),
        (None, False, "ok"),
        (60_000, True, "ok"),
        (60_001, True, "warning"),
        (0, False, "warning"),
        (0, None, "warning"),
    ],
)
def test_overdue_wake_ups_are_a_warning(late_ms: int | None, held: bool | None, level: str) -> None:  # noqa: FBT001
    """With a service only if they have been due for more than a minute; without one at once: it should be started."""
    census = Census(NOW) if late_ms is None else Census(NOW, due=3, oldest_due_ms=NOW - late_ms)
    findings = list(wakeups.check(census, held=held))
    assert levels(findings) == [level]
    if level == "warning":
        assert iso(NOW - (late_ms or 0)) in findings[0].found


def test_wake_ups_that_wait_for_the_end_of_a_pause_are_not_late() -> None:
    """The pause itself is a warning: somebody may have forgotten it."""
    paused = Paused(NOW - HOUR, NOW + HOUR, "the backend moves", "ada")
    census = Census(NOW, due=3, oldest_due_ms=NOW - HOUR, paused=paused)
    first, second = wakeups.check(census, held=True)
    assert (first.level, first.found) == ("warning", f"cleanups are {paused}")
    assert (second.level, second.found) == (
        "ok",
        f"3 wait for the end of the pause, the oldest since {iso(NOW - HOUR)}",
    )


def test_wake_ups_that_cannot_be_delivered_are_a_warning() -> None:
    """With an example of why."""
    census = Census(NOW, undeliverable=2, undeliverable_example="alice: cannot be read")
    first, *_ = wakeups.check(census, held=True)
    assert (first.level, first.found) == ("warning", "2 cannot be delivered, e.g. alice: cannot be read")


# --- the clock -------------------------------------------------------------------------------------------


def clocks(*, wall_moves: float = 250.0, synchronised: bool | None = True) -> Clocks:
    """A wall clock that moves so far while the monotonic one moves by 250 ms."""
    slept: list[float] = []
    return Clocks(
        wall_ms=lambda: NOW + wall_moves * len(slept),
        monotonic_ms=lambda: 250.0 * len(slept),
        sleep=slept.append,
        synchronised=lambda: synchronised,
    )


@pytest.mark.parametrize(
    ("newest_ms", "level"),
    [(None, "ok"), (NOW - 1, "ok"), (NOW + AHEAD_MS, "ok"), (NOW + AHEAD_MS + 1, "warning")],
)
def test_a_clock_behind_what_is_stored_is_a_warning(newest_ms: int | None, level: str) -> None:
    """It is wrong, or was: which sessions run longer for it is said of each."""
    assert levels(list(clock.check(newest_ms, clocks()))) == [level, "ok", "ok"]


@pytest.mark.parametrize(
    ("drift", "level"), [(0, "ok"), (DRIFT_MS, "ok"), (-DRIFT_MS, "ok"), (21, "warning"), (-21, "warning")]
)
def test_a_clock_that_is_being_set_is_a_warning(drift: float, level: str) -> None:
    """In either direction."""
    assert levels(list(clock.check(None, clocks(wall_moves=250 + drift)))) == ["ok", level, "ok"]


@pytest.mark.parametrize(("synchronised", "level"), [(True, "ok"), (False, "warning"), (None, "ok")])
def test_a_clock_that_nothing_keeps_right_is_a_warning(synchronised: bool | None, level: str) -> None:  # noqa: FBT001
    """Where the kernel says so; what cannot be told is said to be so."""
    assert levels(list(clock.check(None, clocks(synchronised=synchronised)))) == ["ok", "ok", level]


def test_the_machines_own_clock_can_be_examined() -> None:
    """Whatever it is like: three findings, and nothing raises."""
    assert len(list(clock.check(None))) == 3


# --- the lab backend -------------------------------------------------------------------------------------


@asynccontextmanager
async def lab_backend(with_token: int, without: int) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A backend that answers so, and what it was asked."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        assert not await request.read()
        known = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        return web.Response(status=with_token if known else without, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), seen


@pytest.mark.parametrize(
    ("with_token", "without", "level", "word"),
    [
        (204, 401, "ok", "takes the token"),
        (405, 403, "ok", "takes the token"),
        (404, 401, "ok", "takes the token"),
        (204, 204, "ok", "cannot be told"),
        (405, 405, "ok", "cannot be told"),
        (404, 404, "ok", "cannot be told"),
        (401, 401, "fault", "refuses the token"),
        (401, 204, "fault", "refuses the token"),
        (403, 403, "warning", "or this harmless request"),
        (500, 500, "warning", "in trouble"),
        (307, 307, "fault", "redirects"),
    ],
)
async def test_the_token_is_judged_by_the_difference_that_it_makes(
    with_token: int, without: int, level: str, word: str
) -> None:
    """Only an answer that is refused without the token and not with it proves it; nothing but OPTIONS is sent."""
    async with lab_backend(with_token, without) as (url, seen):
        _, verdict = await backend.check(url, TOKEN, 5)
    assert (verdict.level, word in verdict.found) == (level, True)
    assert [(request.method, request.path) for request in seen] == [("OPTIONS", "/api/v1/labs/delete")] * 2
    assert TOKEN not in str(verdict)


async def test_a_backend_that_is_not_there_is_a_fault() -> None:
    """With the words that `last_error` has."""
    (finding,) = await backend.check(f"http://127.0.0.1:{unused_port()}", TOKEN, 5)
    assert (finding.level, finding.found) == ("fault", "refused connection")


async def test_a_backend_that_says_nothing_is_a_fault() -> None:
    """Not waited for any longer than a call would."""

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.transport.abort()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        (finding,) = await backend.check(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", TOKEN, 0.05)
        await asyncio.sleep(0.3)
    assert (finding.level, finding.found) == ("fault", "timed out after 0.05 s")


@pytest.mark.parametrize(
    ("url", "token", "missing"),
    [
        (None, None, ["BACKEND_API_URL", "BACKEND_API_TOKEN"]),
        (None, TOKEN, ["BACKEND_API_URL"]),
        ("http://127.0.0.1:1", None, ["BACKEND_API_TOKEN"]),
    ],
)
async def test_what_is_not_set_is_a_warning(url: str | None, token: str | None, missing: list[str]) -> None:
    """The service starts without it, so it is no fault; nothing is sent."""
    findings = await backend.check(url, token, 5)
    assert [(finding.level, finding.found) for finding in findings] == [
        ("warning", f"{name} is not set") for name in missing
    ]


async def test_a_token_in_the_open_is_a_warning() -> None:
    """Over http to another machine."""
    first, _ = await backend.check("http://nowhere.invalid", TOKEN, 5)
    assert (first.level, "without encryption" in first.found) == ("warning", True)

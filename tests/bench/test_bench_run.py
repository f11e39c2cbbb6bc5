"""The benchmark as a whole: options, exit status, and a run of every scenario with the real processes."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench_kit import TINY, report, result
from msgspec import structs
from rich.console import Console
from typer.testing import CliRunner

from labsessions.bench.figures import Report, Result, more
from labsessions.bench.flood import Request
from labsessions.bench.labs import Requests, lab_body, user_name
from labsessions.bench.ledger import Record
from labsessions.bench.load import LoadError, Pool
from labsessions.bench.machine import Placement, choose_placement, describe, on_cores
from labsessions.bench.meter import size_of, usage
from labsessions.bench.options import BenchError, Options, options_of
from labsessions.bench.run import run_bench
from labsessions.bench.scenarios import SCENARIOS
from labsessions.bench.sizes import FULL, QUICK
from labsessions.bench.stage import API_TOKEN, Stage
from labsessions.children import ChildError
from labsessions.cli import app

ASKED: dict[str, Any] = {
    "quick": False,
    "scenarios": [],
    "minutes": None,
    "folder": None,
    "json_file": None,
    "compare": None,
    "tolerance": 10,
}


def quiet() -> Console:
    """A screen that nobody looks at."""
    return Console(file=io.StringIO(), width=120)


def stage(folder: Path) -> Stage:
    """A stage of the smallest size."""
    return Stage(folder, TINY, choose_placement(), lambda _: None)


# --- options ----------------------------------------------------------------------------------------------


def test_by_default_everything_runs_at_full_size() -> None:
    """`--quick` makes it small, `--minutes` says how long the long run is in either case."""
    assert options_of(**ASKED) == Options(scenarios=tuple(SCENARIOS), sizes=FULL)
    assert options_of(**ASKED | {"quick": True}).sizes == QUICK
    assert options_of(**ASKED | {"minutes": 60}).sizes == structs.replace(FULL, long_minutes=60)


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("--scenario: there is no nonsense; there are requests, cost", {"scenarios": ["herd", "nonsense"]}),
        ("--folder: nowhere is no folder", {"folder": Path("nowhere")}),
        ("--json: .*nowhere is no folder", {"json_file": Path("nowhere/result.json")}),
        ("--compare: nowhere is not the result of a benchmark", {"compare": Path("nowhere")}),
    ],
)
def test_a_wrong_option_stops_the_run_before_it_begins(message: str, asked: dict[str, Any]) -> None:
    """The message names the option and what was expected."""
    with pytest.raises(BenchError, match=message):
        options_of(**ASKED | asked)


def test_only_a_report_of_this_format_can_be_compared_with(tmp_path: Path) -> None:
    """Of another one its figures may mean something else."""
    file = tmp_path / "result.json"
    file.write_bytes(msgspec.json.encode(report()))
    assert options_of(**ASKED | {"compare": file}).earlier == report()
    file.write_bytes(msgspec.json.encode(structs.replace(report(), format=2)))
    with pytest.raises(BenchError, match="has format 2, expected 1"):
        options_of(**ASKED | {"compare": file})
    file.write_bytes(b"{}")
    with pytest.raises(BenchError, match="not the result of a benchmark"):
        options_of(**ASKED | {"compare": file})


def test_the_command_line_refuses_with_status_2() -> None:
    """As with every fault of what was asked for; nothing has been started by then."""
    refused = CliRunner().invoke(app, ["bench", "--scenario", "nonsense"])
    assert (refused.exit_code, "--scenario: there is no nonsense" in refused.stderr) == (2, True)


def test_the_other_commands_do_without_the_benchmark() -> None:
    """A service that starts has no use for it, and imports take time."""
    code = "import sys, labsessions.cli; sys.exit(any(name.startswith('labsessions.bench') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own words


# --- exit status ------------------------------------------------------------------------------------------


async def slow(_: Stage) -> Result:
    """A scenario that meets no target."""
    return result(more("figure", 1), name="slow")


async def wrong(_: Stage) -> Result:
    """A scenario in which something was lost."""
    return result(name="wrong", faults=["1 labs are lost"])


async def broken(_: Stage) -> Result:
    """A scenario whose service doesn't start."""
    raise ChildError("serve does not serve")


async def unanswered(_: Stage) -> Result:
    """A scenario whose backend is gone."""
    raise LoadError("no connection")


@pytest.mark.parametrize(
    ("status", "names"), [(0, ["slow"]), (1, ["wrong"]), (1, ["broken", "slow"]), (1, ["unanswered"]), (0, [])]
)
def test_the_exit_status_is_about_what_is_wrong(status: int, names: list[str]) -> None:
    """Slowness is no fault. What can't be played to its end is one, and the others are played all the same."""
    console = quiet()
    scenarios = {"slow": slow, "wrong": wrong, "broken": broken, "unanswered": unanswered}
    assert run_bench(Options(scenarios=names, sizes=TINY), console, scenarios) == status
    assert isinstance(console.file, io.StringIO)
    assert all(name in console.file.getvalue() for name in names)


def test_date_and_commit_are_those_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the code that was measured, whatever has been committed meanwhile."""
    monkeypatch.setattr("labsessions.bench.run.commit", lambda: "before")
    begun: list[datetime] = []

    async def long(_: Stage) -> Result:
        begun.append(datetime.now(UTC))
        monkeypatch.setattr("labsessions.bench.run.commit", lambda: "after")
        return result(name="long")

    file = tmp_path / "result.json"
    assert run_bench(Options(scenarios=["long"], sizes=TINY, json_file=file), quiet(), {"long": long}) == 0
    written = msgspec.json.decode(file.read_bytes(), type=Report)
    assert written.commit == "before"
    assert datetime.fromisoformat(written.date) <= begun[0]


def test_a_signal_ends_the_run(tmp_path: Path) -> None:
    """Exit status 130; the folder is gone, the processes too, as each is ended when its block is left."""

    async def interrupted(stage: Stage) -> Result:
        async with stage.backend() as backend:
            children.append(backend.process)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
            raise AssertionError

    children: list[asyncio.subprocess.Process] = []
    options = Options(scenarios=["interrupted"], sizes=TINY, folder=tmp_path)
    assert run_bench(options, quiet(), {"interrupted": interrupted}) == 130
    assert list(tmp_path.iterdir()) == []
    assert [child.returncode for child in children] == [0]


# --- the real thing ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_requests_and_cost_from_end_to_end(tmp_path: Path) -> None:
    """Nothing wrong in any answer, and a session costs what it must: a commit each, two calls for a cleanup."""
    file = tmp_path / "result.json"
    options = Options(scenarios=["requests", "cost"], sizes=TINY, folder=tmp_path, json_file=file)
    before = os.sched_getaffinity(0)
    assert run_bench(options, quiet()) == 0
    assert os.sched_getaffinity(0) == before
    written = msgspec.json.decode(file.read_bytes(), type=Report)
    requests, cost = written.results
    assert (requests.faults, cost.faults) == ([], [])
    figures = {figure.name: figure.value for figure in cost.figures}
    assert {name: value for name, value in figures.items() if name.endswith("commits")} == {
        "create: commits": 1,
        "get: commits": 0,
        "delete: commits": 1,
        "cleanup: commits": 2,
    }
    assert {name: value for name, value in figures.items() if name.endswith("calls")} == {
        "create: backend calls": 0,
        "get: backend calls": 0,
        "delete: backend calls": 0,
        "cleanup: backend calls": 2,
    }
    for kind in ("create", "get", "delete"):
        (ratio,) = [figure for figure in requests.figures if figure.name == f"{kind}: ratio"]
        assert ratio.value > 0
        assert ratio.met is (ratio.value >= (ratio.target or 0))
    assert options_of(**ASKED | {"compare": file}).earlier == written


@pytest.mark.slow
def test_every_scenario_from_end_to_end(tmp_path: Path) -> None:
    """Nothing is lost, wrong or doubled in any of them."""
    console = quiet()
    file = tmp_path / "result.json"
    options = Options(scenarios=tuple(SCENARIOS), sizes=TINY, folder=tmp_path, json_file=file)
    assert run_bench(options, console) == 0
    written = msgspec.json.decode(file.read_bytes(), type=Report)
    assert [each.name for each in written.results] == list(SCENARIOS)
    confirmed = {
        figure.name: figure.value
        for each in written.results
        for figure in each.figures
        if "exactly once" in figure.name
    }
    assert confirmed == {"50 due: confirmed exactly once": 50, "sessions confirmed exactly once": 150}


async def shape(url: str, request: Request) -> tuple[tuple[str, bool, list[str]], int]:
    """What an answer consists of, and how large it is."""
    pool = Pool(url)
    answer = await pool.ask(request.data)
    pool.close()
    assert answer.status == request.status
    assert request.within in answer.body
    body = msgspec.json.decode(answer.body)
    return (body["message"], body["success"], sorted(body["data"])), len(answer.body)


@pytest.mark.slow
async def test_the_bare_server_answers_as_the_service_does(tmp_path: Path) -> None:
    """The same status, the same members, about the same number of bytes: else the ratio would compare unlike things."""
    user, play = user_name("bare", 1), stage(tmp_path)
    async with play.backend() as backend, play.bare() as bare, play.service(tmp_path / "data", backend) as service:
        servers = ((bare, Requests(bare.url)), (service, Requests(service.url, API_TOKEN)))
        for kind in ("create", "get", "delete"):
            (of_bare, bare_size), (of_service, service_size) = [
                await shape(server.url, getattr(to_send, kind)(user)) for server, to_send in servers
            ]
            assert of_bare == of_service
            assert abs(bare_size - service_size) <= 200


async def test_the_record_of_the_mock_backend_is_taken_piece_by_piece(tmp_path: Path) -> None:
    """Each call once, and what was taken is forgotten there; the counts go on."""
    async with stage(tmp_path).backend() as backend:
        record, pool = Record(backend), Pool(backend.url)
        assert await record.take() == []
        to_send = Requests(backend.url, "bench-backend-token")
        for numbers in ([1, 2], [3]):
            for number in numbers:
                body = {"lab_request_id": f"vm-{number}", "user_id": "ann"}
                assert (await pool.ask(to_send.bytes("POST", "/api/v1/labs/delete", body))).status == 202
            assert [call.lab_request_id for call in await record.take()] == [f"vm-{number}" for number in numbers]
        assert (await pool.ask(to_send.bytes("GET", "/__calls"))).body == b"[]"
        assert (await record.counts()).vms_deleted == 3
        record.close()
        pool.close()


# --- the machine ------------------------------------------------------------------------------------------


def test_a_body_is_as_large_as_those_of_front_ends() -> None:
    """About 900 bytes; the targets are made for it."""
    assert 850 <= len(msgspec.json.encode(lab_body(user_name("bench", 1)))) <= 950


def test_server_and_load_have_cores_of_their_own_where_there_are_two() -> None:
    """With one they share it, and the report says so."""
    placement = choose_placement()
    if len(os.sched_getaffinity(0)) > 1:
        assert placement.server is not None
        assert placement.load is not None
        assert not placement.server & placement.load
        assert "server on core" in str(placement)
        with on_cores(frozenset({min(placement.load)})):
            assert choose_placement() == Placement(None, None)
    assert str(Placement(None, None)) == "servers and load share all cores"
    assert Placement(None, None).all is None
    assert Placement(frozenset({0}), frozenset({1})).all == frozenset({0, 1})


def test_what_is_told_of_the_machine(tmp_path: Path) -> None:
    """All that makes figures comparable."""
    told = describe(Placement(None, None), tmp_path)
    assert {"cpu", "cores", "kernel", "python", "sqlite", "aiohttp", "uvloop", "file_system", "placement"} <= set(told)
    assert all(value != "" for value in told.values())


def test_a_process_is_metered(tmp_path: Path) -> None:
    """Its memory and CPU are more than nothing; of a process that isn't there nothing is known."""
    own = usage(os.getpid())
    assert own.peak_bytes >= own.rss_bytes > 0
    assert own.cpu_seconds > 0
    assert usage(2**30) == (0, 0, 0, 0)
    (tmp_path / "file").write_bytes(b"four")
    assert (size_of(tmp_path / "file"), size_of(tmp_path / "none")) == (4, 0)

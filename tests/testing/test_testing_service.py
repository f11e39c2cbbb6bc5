"""What labsessions offers to the tests of others: the example suite of the documentation, and what it promises."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from docs_examples import example_suite

from labsessions.http.endpoints import SESSIONS
from labsessions.http.openapi import EXAMPLE
from labsessions.settings import Api
from labsessions.testing import LabService, Slow, Status, running

pytest_plugins = ["pytester", "labsessions.testing.plugin"]


async def create(service: LabService, **members: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to a POST."""
    body = {**EXAMPLE, "worker_nodes": None, **members}
    async with aiohttp.ClientSession() as http, http.post(f"{service.url}{SESSIONS}", json=body) as answer:
        return answer.status, await answer.json()


async def status(service: LabService) -> str | None:
    """The status of the user's session; None without one."""
    async with aiohttp.ClientSession() as http, http.get(f"{service.url}{SESSIONS}/user/ada") as answer:
        body = await answer.json()
        return body["data"]["status"] if answer.status == 200 else None


@pytest.mark.slow
def test_the_example_of_the_documentation_passes(pytester: pytest.Pytester) -> None:
    """As it stands there, in a project of its own."""
    for name, source in example_suite().items():
        pytester.makepyfile(**{name: source})
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "0").assert_outcomes(passed=3)


async def test_a_minute_is_a_minute(lab_service: LabService) -> None:
    """One second before its end the lab is there, at its end it is cleaned up; the instant is told."""
    _, body = await create(lab_service, duration=1)
    created = datetime.fromisoformat(body["data"]["created_at"])
    assert lab_service.advance(seconds=59) == created + timedelta(seconds=59)
    assert await status(lab_service) == "active"
    lab_service.advance(seconds=1)
    assert (await status(lab_service), lab_service.deleted) == (None, ["vm-4711"])


@pytest.mark.parametrize("minutes", [0, -1])
def test_time_only_goes_on(lab_service: LabService, minutes: float) -> None:
    """Nothing else is sent."""
    with pytest.raises(ValueError, match="time can only go on"):
        lab_service.advance(minutes=minutes)


async def test_the_backend_is_scripted(lab_service: LabService) -> None:
    """Faults are met in order, each as often as it says; `recover` ends them; each retry at its own instant."""
    lab_service.fail(Status(route="delete", status=409), Slow(route="expose", seconds=0.01))
    await create(lab_service, duration=1)
    lab_service.advance(minutes=20)
    tried = len([call for call in lab_service.calls(vm="vm-4711") if call.route == "delete"])
    assert tried >= 3
    assert await status(lab_service) == "cleaning"
    lab_service.recover()
    lab_service.advance(minutes=6)
    assert await status(lab_service) is None
    assert len([call for call in lab_service.calls() if call.route == "delete"]) == tried + 1


async def test_a_restart_goes_on_with_the_same_data(tmp_path: Path) -> None:
    """Another block with the same folder has the sessions of the last one; settings are those of the service."""
    with running(tmp_path, api=Api(max_duration_minutes=1)) as service:
        assert (await create(service, duration=1.001))[0] == 400
        assert (await create(service, duration=1))[0] == 201
    with running(tmp_path) as service:
        assert await status(service) == "active"
        service.advance(minutes=1)
        assert (await status(service), service.deleted) == (None, ["vm-4711"])


def test_what_keeps_it_from_starting_is_raised_where_it_is_asked_for(tmp_path: Path) -> None:
    """In the test's own thread, with the words of the service."""
    with running(tmp_path), pytest.raises(Exception, match="in use by another process"), running(tmp_path):
        pass


async def test_two_at_the_same_time_know_nothing_of_each_other(tmp_path: Path) -> None:
    """Each has its own time, data and backend."""
    with running(tmp_path / "a") as one, running(tmp_path / "b") as other:
        await create(one, duration=1)
        other.advance(minutes=5)
        assert (await status(one), await status(other)) == ("active", None)
        one.advance(minutes=5)
        assert (one.deleted, other.deleted) == (["vm-4711"], [])


def test_the_example_is_whole() -> None:
    """A conftest and a module, and nothing of this repository's tests in them."""
    suite = example_suite()
    assert set(suite) == {"conftest", "test_labs"}
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", suite["test_labs"], re.MULTILINE))
    assert imported == {"json", "urllib.error", "urllib.request", "labsessions.testing"}

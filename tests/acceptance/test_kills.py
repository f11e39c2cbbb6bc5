"""The real process, killed again and again: nothing acknowledged is lost, and nothing deleted by hand is touched."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from processes import Backend, Client, Process, until, workers, world

# An attempt may take half of this; a crash in mid-call is tried again one and a half of it later.
RETRY_SECONDS = "1"
SOON = 0.01  # minutes: 600 ms


@dataclass
class Story:
    """What a front end remembers over all the kills: what was acknowledged."""

    service: Process
    client: Client
    backend: Backend
    due: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Users whose session was accepted and will expire, with their VMs."""
    later: set[str] = field(default_factory=set)
    """Users whose accepted session is far from its end."""
    deleted: set[str] = field(default_factory=set)
    """Users whose DELETE was acknowledged before the deadline."""
    expires_ms: dict[str, int] = field(default_factory=dict)
    """The deadline of each VM, as the service has told it."""

    async def lab(self, user: str, *worker_ids: str, minutes: float = SOON) -> None:
        """Create a session and remember it if it was acknowledged."""
        extra: dict[str, Any] = {"worker_nodes": workers(*worker_ids)} if worker_ids else {}
        status, body = await self.client.create(user, duration=minutes, **extra)
        assert status == 201, body
        vms = (f"vm-{user}", *worker_ids)
        deadline = round(datetime.fromisoformat(body["data"]["expires_at"]).timestamp() * 1000)
        self.expires_ms |= dict.fromkeys(vms, deadline)
        if minutes == SOON:
            self.due[user] = vms
        else:
            self.later.add(user)

    async def arrived(self, vm: str) -> list[dict[str, Any]]:
        """Wait for a deletion of this VM to arrive at the backend, answered or not."""
        return list(await until(lambda: self.backend.calls("delete", vm), f"a call for {vm}"))


async def before_the_call(story: Story, user: str, _rng: random.Random) -> None:
    """Dies while the lab runs; it is due before the service is back."""
    await story.lab(user)
    await story.service.kill()


async def inside_the_call(story: Story, user: str, _rng: random.Random) -> None:
    """Dies while the backend has been asked and has not answered."""
    await story.backend.fault(kind="hang", route="delete", lab_request_id=f"vm-{user}", times=1)
    await story.lab(user)
    await story.arrived(f"vm-{user}")
    await story.service.kill()


async def between_two_vms(story: Story, user: str, _rng: random.Random) -> None:
    """Dies when the master is confirmed and a worker is not."""
    await story.backend.fault(kind="hang", route="delete", lab_request_id=f"{user}-w1", times=1)
    await story.lab(user, f"{user}-w1", f"{user}-w2")
    await story.arrived(f"{user}-w1")
    await story.service.kill()


async def after_a_lost_answer(story: Story, user: str, _rng: random.Random) -> None:
    """Dies when the backend has done the work and the answer was lost."""
    await story.backend.fault(kind="lost", route="delete", lab_request_id=f"vm-{user}", times=5)
    await story.lab(user)
    await story.arrived(f"vm-{user}")
    await story.service.kill()


async def during_creates(story: Story, user: str, rng: random.Random) -> None:
    """Dies in the middle of a burst of POSTs; only the acknowledged ones count."""
    users = [f"{user}-{n}" for n in range(40)]
    await _in_the_middle(story, [story.lab(name, minutes=600) for name in users], rng)


async def during_deletes(story: Story, user: str, rng: random.Random) -> None:
    """Dies in the middle of a burst of DELETEs; only the acknowledged ones count."""

    async def delete(name: str) -> None:
        story.later.discard(name)  # from now on it may be either, until acknowledged
        status, _ = await story.client.delete(name)
        assert status == 200
        story.deleted.add(name)

    users = [f"{user}-{n}" for n in range(40)]
    for name in users:
        await story.lab(name, minutes=600)
    await _in_the_middle(story, [delete(name) for name in users], rng)


async def _in_the_middle(story: Story, requests: list[Any], rng: random.Random) -> None:
    """Send all requests at once and kill the service when a few of them have been answered."""
    tasks = [asyncio.ensure_future(request) for request in requests]
    enough = rng.randrange(1, 20)
    await until(lambda: _value(sum(task.done() for task in tasks) >= enough), "the first answers")
    await story.service.kill()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert outcome is None or isinstance(outcome, aiohttp.ClientError), outcome


async def _value(value: bool) -> bool:  # noqa: FBT001 - a condition for `until`
    return value


PHASES: tuple[Callable[[Story, str, random.Random], Awaitable[None]], ...] = (
    before_the_call,
    inside_the_call,
    between_two_vms,
    after_a_lost_answer,
    during_creates,
    during_deletes,
)


async def check(story: Story) -> None:
    """What must be true at the end, whatever happened on the way."""
    for user, vms in story.due.items():
        await until(lambda user=user: story.client.gone(user), f"the cleanup of {user}")  # type: ignore[misc]
        for vm in vms:
            calls = await story.backend.calls("delete", vm)
            assert any(call["work_done"] for call in calls), f"{vm} is leaked: {calls}"
            assert min(call["at_ms"] for call in calls) >= story.expires_ms[vm], f"{vm} was deleted early"
    for user in story.later:
        status, _ = await story.client.get(user)
        assert status == 200, f"{user} is lost"
        assert await story.backend.calls("delete", f"vm-{user}") == []
    for user in story.deleted:
        assert await story.client.gone(user), f"{user} was deleted by hand and is back"
        assert await story.backend.calls("delete", f"vm-{user}") == [], f"{user} was deleted by hand"


async def run_story(folder: Path, rounds: int, seed: int) -> None:
    """Live through each phase `rounds` times, with a kill and a restart each, and check at the end."""
    rng = random.Random(seed)  # noqa: S311 - seeded, not secret
    async with world(folder, LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS=RETRY_SECONDS) as (service, client, backend):
        story = Story(service, client, backend)
        phases = [(phase, number) for number in range(rounds) for phase in PHASES]
        for phase, number in phases:
            await phase(story, f"{phase.__name__}-{number}", rng)
            await service.start()
        await check(story)
        assert story.due
        assert story.deleted


@pytest.mark.slow
async def test_six_kills_one_in_each_phase(tmp_path: Path) -> None:
    """After a SIGKILL in each phase every due session is cleaned, none is lost, none is touched that was deleted."""
    await run_story(tmp_path, rounds=1, seed=1)


@pytest.mark.slow
async def test_twenty_four_kills_on_the_same_data(tmp_path: Path) -> None:
    """The same holds when the kills follow one another on the same data, four times through all phases."""
    await run_story(tmp_path, rounds=4, seed=2)

"""Effects: outside of the mailbox, one for each actor, cancelled for good, results as messages."""

import asyncio
import logging
from contextvars import copy_context

import pytest
from actor_kit import Do, Show, World, toy_id, virtual

from actors.actor import Outcome
from actors.effects import Effect, Effects


def start(effect: Effect) -> Do:
    """A message that starts an effect."""
    return Do(lambda _: Outcome(start_effect=effect))


CANCEL = Do(lambda _: Outcome(cancel_effect=True))


class Script:
    """An effect in steps of a second, with notes of how far it came."""

    def __init__(self, name: str = "effect") -> None:
        self.name = name
        self.steps = 0

    async def __call__(self) -> str:
        """See `Effect`."""
        for _ in range(3):
            await asyncio.sleep(1)
            self.steps += 1
        return f"result of {self.name}"


@virtual
async def test_the_result_comes_as_a_message() -> None:
    """What the effect returns is told to its actor, once, when it ends."""
    async with World() as world:
        await world.toys.ask("a", start(Script()))
        assert len(world.runtime.effects) == 1
        await world.until(2999)
        assert world.results == []
        await world.until(3000)
        assert world.results == [("a", "result of effect")]
        assert len(world.runtime.effects) == 0


@virtual
async def test_an_effect_does_not_keep_the_actor_from_its_mail() -> None:
    """A GET is answered while a slow call is under way."""
    async with World() as world:
        await world.toys.ask("a", start(Script()))
        assert await world.toys.ask("a", Show()) == 0
        assert world.runtime.effects.running(toy_id("a")) is not None


@virtual
async def test_a_cancelled_effect_takes_no_further_step_and_has_no_result() -> None:
    """Contract 3.5: cancelled in flight, it never continues; cancelling what doesn't run is harmless."""
    async with World() as world:
        script = Script()
        await world.toys.ask("a", CANCEL)
        await world.toys.ask("a", start(script))
        await world.until(1500)
        await world.toys.ask("a", CANCEL)
        assert world.runtime.effects.running(toy_id("a")) is None
        await world.until(10_000)

        assert script.steps == 1
        assert world.results == []


@virtual
async def test_a_cancelled_effect_has_no_result_even_if_it_returns_one() -> None:
    """A library may swallow the cancellation (`asyncio.wait_for` of Python 3.11 can): the result is still dropped."""

    async def stubborn() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "too late"

    async with World() as world:
        for message in (CANCEL, start(Script("another"))):
            await world.toys.ask("a", start(stubborn))
            await asyncio.sleep(1)
            await world.toys.ask("a", message)
            await asyncio.sleep(10)

        assert world.results == [("a", "result of another")]


@virtual
async def test_a_second_effect_replaces_the_first() -> None:
    """At most one runs for each actor: the first takes no further step; other actors' go on."""
    async with World() as world:
        first, second, other = Script("first"), Script("second"), Script("other")
        await world.toys.ask("b", start(other))
        await world.toys.ask("a", start(first))
        await world.until(1500)
        await world.toys.ask("a", start(second))
        assert len(world.runtime.effects) == 2
        await world.until(10_000)

        assert (first.steps, second.steps) == (1, 3)
        assert world.results == [("b", "result of other"), ("a", "result of second")]


@virtual
async def test_an_exception_in_an_effect_is_logged_and_nothing_is_delivered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug of an effect: no result, a line in the log with the actor; the actor goes on, the alarm repeats it."""

    async def broken() -> str:
        raise LookupError("mine")

    async with World() as world:
        await world.toys.ask("a", start(broken))
        await asyncio.sleep(1)

        assert world.results == []
        assert len(world.runtime.effects) == 0
        assert await world.toys.ask("a", Show()) == 0
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "the effect of toys/a failed without a result")
    ]
    assert "LookupError: mine" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "delivered", "released"),
    [(2.999, ["quick"], "1 effects were still running"), (3.001, ["quick", "slow"], None)],
)
def test_drain_waits_for_so_long_and_cancels_the_rest(
    seconds: float, delivered: list[str], released: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that end in time deliver; the others are cancelled, with a warning that says how many."""

    @virtual
    async def run() -> None:
        results: list[str] = []
        effects = Effects(lambda actor_id, _: results.append(actor_id.name))

        async def quick() -> str:
            await asyncio.sleep(1)
            return "result"

        began = asyncio.get_running_loop().time()
        await effects.drain(seconds)
        assert asyncio.get_running_loop().time() - began < 0.001
        effects.start(toy_id("quick"), quick, copy_context())
        effects.start(toy_id("slow"), Script(), copy_context())
        await effects.drain(seconds)

        assert results == delivered
        assert len(effects) == 0
        assert (released or "") in caplog.text
        assert len(caplog.records) == (0 if released is None else 1)

    run()

"""Webhooks on the real engine: what a session's life tells them, and that no cleanup waits for them."""

import asyncio

import pytest
from builders import POLICY, lab
from msgspec import structs
from test_engine_lifecycle import ScriptedCleaner
from test_engine_warnings import GENERATION
from webhook_kit import World, endpoint

from actors.admission import Limits
from actors.breaker import BreakerState
from actors.testing import run_virtual
from labsessions.core.messages import Create, Delete
from labsessions.engines.embedded import EmbeddedEngine
from labsessions.webhooks.sender import Endpoint

WARNED = structs.replace(POLICY, warn_before_ms=(300_000,))


class Service(World):
    """The world with sessions in it."""

    def __init__(self, *endpoints: Endpoint, limits: Limits | None = None) -> None:
        super().__init__(*endpoints, limits=limits)
        self.cleaner = ScriptedCleaner()
        self.engine = EmbeddedEngine(
            self.runtime,
            self.cleaner,
            WARNED,
            announce=lambda user_id: self.webhooks.announce(),  # noqa: ARG005
        )

    async def create(self, number: int, minutes: float) -> None:
        """Start a session of that user."""
        user = f"user-{number}"
        await self.engine.ask(user, Create(GENERATION % number, lab(user_id=user, duration=minutes)))


def test_a_life() -> None:
    """Begun, warned of, failed, cleaned; another one deleted: each is told within a moment, once, in order."""

    async def main() -> None:
        async with Service(endpoint()) as service:
            service.cleaner.script = ["HTTP 500"]
            await service.create(1, 60)
            await asyncio.sleep(0.1)
            await service.create(2, 600)
            await service.engine.ask("user-2", Delete())
            await asyncio.sleep(2 * 3600)
        told = [(round(at / 60_000), message.type) for at, _, message in service.receivers.calls]
        assert told == [
            *((0, "session.created"), (0, "session.created"), (0, "session.deleted")),
            *((55, "session.expiring"), (60, "session.cleanup_failed"), (65, "session.cleaned")),
        ]

    run_virtual(main())


@pytest.mark.parametrize("hang", [False, True])
def test_cleanups_are_on_time_while_endpoints_hang(hang: bool) -> None:  # noqa: FBT001 - pytest's
    """To the millisecond as without any webhooks, with one slot and a rate; the circuit breaker learns nothing."""

    async def main() -> list[int]:
        endpoints = [endpoint(f"hangs-{number}") for number in range(20)] if hang else []
        limits = Limits(slots=1, slow_slots=0, rate_per_second=10)
        async with Service(*endpoints, limits=limits) as service:
            service.receivers.seconds = 1e9
            began = round(asyncio.get_running_loop().time() * 1000)
            for number in range(50):
                await service.create(number, 60)
            await asyncio.sleep(3600 + 120)
            assert len(service.receivers.calls) >= len(endpoints)
            assert service.runtime.breaker.state is BreakerState.CLOSED
            assert service.cleaner.finished == 50
            return [at - began for at, _ in service.cleaner.begun]

    begun = run_virtual(main())
    assert begun == [3_600_000 + 1000 * number for number in range(50)]


def test_all_slots_are_taken_and_webhooks_go_on() -> None:
    """Nor is a cleanup in the way of a webhook: an operator hears of trouble while there is some."""

    async def main() -> None:
        limits = Limits(slots=1, slow_slots=0)
        async with Service(endpoint(), limits=limits) as service:
            service.cleaner.seconds = 60
            for number in range(3):
                await service.create(number, 1)
            await asyncio.sleep(90)
            assert len(service.cleaner.begun) == 1
            service.receivers.calls.clear()
            await service.create(9, 60)
            await asyncio.sleep(0.1)
            assert [message.type for _, _, message in service.receivers.calls] == ["session.created"]

    run_virtual(main())

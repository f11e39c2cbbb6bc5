"""An answer is kept for a while: many who ask cost no more than one."""

import asyncio

import pytest

from actors.testing import run_virtual
from labsessions.cached import Cached


class Source:
    """Counts how often it is asked; an answer takes `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.asked = 0
        self.fault: Exception | None = None

    async def make(self) -> int:
        """How often it has been asked."""
        self.asked += 1
        await asyncio.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault
        return self.asked


@pytest.mark.parametrize(("after", "answer"), [(0.999, 1), (1.001, 2)])
def test_it_is_kept_for_so_long(after: float, answer: int) -> None:
    """From when it was known."""

    async def main() -> None:
        source = Source(0.01)
        cached = Cached(source.make, 1.0)
        assert await cached.get() == 1
        await asyncio.sleep(after)
        assert await cached.get() == answer

    run_virtual(main())


def test_all_who_ask_meanwhile_get_the_same() -> None:
    """Also those who come while it is being found out."""

    async def main() -> None:
        cached = Cached(Source(0.05).make, 1.0)
        assert await asyncio.gather(*(cached.get() for _ in range(10))) == [1] * 10

    run_virtual(main())


@pytest.mark.parametrize(("after", "answer"), [(17.9, 1), (18.1, 2)])
def test_what_is_dear_is_kept_longer(after: float, answer: int) -> None:
    """Nine times what it took: at most a tenth of the time goes into it."""

    async def main() -> None:
        cached = Cached(Source(2.0).make, 1.0)
        assert await cached.get() == 1
        await asyncio.sleep(after)
        assert await cached.get() == answer

    run_virtual(main())


def test_a_failure_is_not_kept() -> None:
    """Whoever waited with the first one tries by itself, and the next one, too."""

    async def main() -> None:
        source = Source(0.01)
        source.fault = OSError("gone")
        cached = Cached(source.make, 1.0)
        assert [str(each) for each in await asyncio.gather(cached.get(), cached.get(), return_exceptions=True)] == [
            "gone"
        ] * 2
        source.fault = None
        assert await cached.get() == 3

    run_virtual(main())


def test_whoever_goes_takes_nobody_along() -> None:
    """The next one finds it out."""

    async def main() -> None:
        cached = Cached(Source(0.05).make, 1.0)
        first, second = asyncio.ensure_future(cached.get()), asyncio.ensure_future(cached.get())
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second == 2

    run_virtual(main())

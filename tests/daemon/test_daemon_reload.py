"""Reading the settings again: checked as a whole first, applied as a whole or not at all."""

import asyncio

from structlog.testing import capture_logs

from labsessions.daemon import _reload_when
from labsessions.reload import Reload
from labsessions.settings import Settings, SettingsError, load
from labsessions.supervisor import Supervisor


class Owner:
    """Takes settings, and may fail at it."""

    def __init__(self) -> None:
        self.taken: list[Settings] = []
        self.fault: Exception | None = None

    def apply(self, settings: Settings) -> None:
        """Note them."""
        if self.fault is not None:
            raise self.fault
        self.taken.append(settings)


def read(**environ: str) -> Settings:
    """The settings of this environment."""
    return load({}, environ)


class Readings:
    """Hands out one reading after the other."""

    def __init__(self, *readings: Settings | Exception) -> None:
        self._rest = iter(readings)

    def next(self) -> Settings:
        """The next one, or its fault."""
        reading = next(self._rest)
        if isinstance(reading, Exception):
            raise reading
        return reading


async def test_each_reading_goes_from_what_is_in_force() -> None:
    """What was taken is not taken again; what was refused leaves no trace."""
    owner = Owner()
    five, six = read(LABSESSIONS_CLEANUP__CONCURRENCY="5"), read(LABSESSIONS_CLEANUP__CONCURRENCY="6")
    fault = SettingsError(["cleanup.concurrency: wrong"])
    reload = Reload(Settings(), Readings(five, five, fault, six, Settings()).next, owner.apply)
    with capture_logs() as lines:
        assert [await reload.once() for _ in range(5)] == [True, True, False, True, True]
    assert owner.taken == [five, six, Settings()]
    assert [line.get("changed", line.get("faults")) for line in lines] == [
        ["cleanup.concurrency"],
        [],
        ["cleanup.concurrency: wrong"],
        ["cleanup.concurrency"],
        ["cleanup.concurrency"],
    ]


async def test_a_bug_does_not_end_it() -> None:
    """It is logged with its traceback, and can be asked for again."""
    owner = Owner()
    owner.fault = RuntimeError("bug")
    asked = asyncio.Event()
    reload = Reload(Settings(), Readings(read(API_TOKEN="t"), ValueError("bug")).next, owner.apply)
    with capture_logs() as lines:
        task = asyncio.create_task(_reload_when(asked, reload, Supervisor({})))
        for number in (1, 2):
            asked.set()
            async with asyncio.timeout(30):
                while len(lines) < number:  # noqa: ASYNC110 - a thread reads
                    await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
    assert [(line["event"], line["log_level"]) for line in lines] == [("settings could not be reloaded", "error")] * 2

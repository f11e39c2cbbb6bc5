"""What is measured, one idea a module. Each is given the stage and hands back its figures, and what was wrong."""

from collections.abc import Awaitable, Callable
from typing import Final

from labsessions.bench.figures import Result
from labsessions.bench.scenarios.cost import cost
from labsessions.bench.scenarios.growth import growth
from labsessions.bench.scenarios.herd import herd
from labsessions.bench.scenarios.lateness import lateness
from labsessions.bench.scenarios.long import long
from labsessions.bench.scenarios.requests import requests
from labsessions.bench.scenarios.start import start
from labsessions.bench.scenarios.waiting import waiting
from labsessions.bench.stage import Stage

Scenario = Callable[[Stage], Awaitable[Result]]

# In the order in which they run: those that share the full store one after the other, the longest last.
SCENARIOS: Final[dict[str, Scenario]] = {
    "requests": requests,
    "cost": cost,
    "lateness": lateness,
    "herd": herd,
    "waiting": waiting,
    "growth": growth,
    "start": start,
    "long": long,
}

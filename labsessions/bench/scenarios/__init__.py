"""What is measured, one idea a module. Each is given the stage and hands back its figures, or what went wrong."""

from collections.abc import Awaitable, Callable
from typing import Final

from labsessions.bench.figures import Result
from labsessions.bench.scenarios.requests import requests
from labsessions.bench.stage import Stage

Scenario = Callable[[Stage], Awaitable[Result]]

# In the order in which they run.
SCENARIOS: Final[dict[str, Scenario]] = {
    "requests": requests,
}

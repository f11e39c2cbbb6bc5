"""Fixtures of the front door's tests. `api` and `engine` are all that the golden tests need of a service."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from http_driven import Api, DrivenReadiness, DrivenSessions
from pytest_aiohttp import AiohttpClient

from labsessions.http import ApiOptions, make_app


@pytest.fixture
def engine() -> DrivenSessions:
    """The engine behind `api`."""
    return DrivenSessions()


@pytest.fixture
def readiness() -> DrivenReadiness:
    """What `api` reports of its readiness."""
    return DrivenReadiness()


@pytest.fixture
def options() -> ApiOptions:
    """The settings of `api`; a module overrides this fixture to choose others."""
    return ApiOptions(version="1.2.3")


@pytest.fixture
async def api(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness, options: ApiOptions
) -> Api:
    """A client of the front door, over a real socket on the loopback address."""
    return await aiohttp_client(make_app(engine, readiness, options))


@pytest.fixture
def log_lines_seen() -> Iterator[list[Any]]:
    """The log lines of the test so far, with what is bound to their context."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as entries:
        yield entries

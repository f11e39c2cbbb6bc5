"""The fixture for pytest: `pytest_plugins = ["labsessions.testing.plugin"]` in your `conftest.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labsessions.testing.service import LabService, running


@pytest.fixture
def lab_service(tmp_path: Path) -> Iterator[LabService]:
    """A service of the test's own, empty, with time that the test drives."""
    with running(tmp_path / "labsessions") as service:
        yield service

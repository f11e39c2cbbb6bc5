"""Ten thousand labs end within one second, while other users go on: exactly once each, with the real process."""

import io
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from rich.console import Console

from labsessions.bench.figures import Report
from labsessions.bench.options import Options
from labsessions.bench.run import run_bench
from labsessions.bench.sizes import QUICK

SIZE = 10_000


@pytest.mark.slow
def test_ten_thousand_at_once_are_confirmed_exactly_once(tmp_path: Path) -> None:
    """Each owes the backend two calls, and gets them, neither before its deadline nor twice; nobody else is touched.

    Others create, get and delete meanwhile, and every answer of theirs is checked. The status is 1 for anything lost,
    early, doubled or wrong.
    """
    file = tmp_path / "result.json"
    sizes = structs.replace(QUICK, herds=(SIZE,))
    options = Options(scenarios=("herd",), sizes=sizes, folder=tmp_path, json_file=file)
    assert run_bench(options, Console(file=io.StringIO())) == 0
    (herd,) = msgspec.json.decode(file.read_bytes(), type=Report).results
    assert not herd.faults
    (confirmed,) = [figure.value for figure in herd.figures if figure.name == "10,000 due: confirmed exactly once"]
    assert confirmed == SIZE

"""What the command line asks of a run, checked before anything starts: an hour is too long to find a typing error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import structs

from labsessions.bench.figures import FORMAT, Report
from labsessions.bench.scenarios import SCENARIOS
from labsessions.bench.sizes import FULL, QUICK, Sizes


class BenchError(Exception):
    """The run cannot start; the text names the option and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which scenarios, at which size, where the data lies (None: the system's temporary folder), what is told how.

    `earlier` is the report to compare with; changes up to `tolerance` (a share) are noise.
    """

    scenarios: Sequence[str]
    sizes: Sizes
    quick: bool = False
    folder: Path | None = None
    json_file: Path | None = None
    earlier: Report | None = None
    tolerance: float = 0.1


def options_of(
    *,
    quick: bool,
    scenarios: Sequence[str],
    minutes: float | None,
    folder: Path | None,
    json_file: Path | None,
    compare: Path | None,
    tolerance: float,
) -> Options:
    """The options as given, `tolerance` in per cent. Raises BenchError."""
    if unknown := sorted(set(scenarios) - set(SCENARIOS)):
        raise BenchError(f"--scenario: there is no {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    for option, path in (("--folder", folder), ("--json", None if json_file is None else json_file.resolve().parent)):
        if path is not None and not path.is_dir():
            raise BenchError(f"{option}: {path} is no folder")
    sizes = QUICK if quick else FULL
    return Options(
        scenarios=scenarios or tuple(SCENARIOS),
        sizes=sizes if minutes is None else structs.replace(sizes, long_minutes=minutes),
        quick=quick,
        folder=folder,
        json_file=json_file,
        earlier=None if compare is None else _report(compare),
        tolerance=tolerance / 100,
    )


def _report(path: Path) -> Report:
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(f"--compare: {path} is not the result of a benchmark: {error}") from error
    if report.format != FORMAT:
        raise BenchError(f"--compare: {path} has format {report.format}, expected {FORMAT}")
    return report

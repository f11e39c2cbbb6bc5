"""How findings are shown: a line each for people, one document for machines."""

from collections.abc import Sequence

import msgspec
import typer

from labsessions.doctor.findings import Finding

COLORS = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "fault": typer.colors.RED}


def line(finding: Finding) -> str:
    """`fault    backend    refused connection – is the backend up, …`; coloured, which a pipe takes out again."""
    level = typer.style(f"{finding.level:<8}", fg=COLORS[finding.level])
    return f"{level} {finding.check:<9} {finding}"


def as_json(findings: Sequence[Finding]) -> str:
    """`{"healthy": …, "findings": [{"check": …, "level": …, "found": …, "todo": …}, …]}`; healthy is: no fault."""
    healthy = all(finding.level != "fault" for finding in findings)
    document = {"healthy": healthy, "findings": [finding._asdict() for finding in findings]}
    return msgspec.json.encode(document).decode()

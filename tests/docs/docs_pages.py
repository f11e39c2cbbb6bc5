"""The pages as tests see them: their texts, tables and code blocks. It judges nothing."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "labsessions" / "docs"
API_EXAMPLES = DOCS / "api-examples.md"
HTTP_FILE = DOCS / "test-auto-cleanup.http"
PAGES = [README, *sorted(DOCS.glob("*.md"))]


def text(page: Path) -> str:
    """The page's text."""
    return page.read_text("utf-8")


def table(page: Path, *header: str) -> list[list[str]]:
    """The rows of the page's only table whose header begins with these cells."""
    lines = text(page).splitlines()
    starts = [number for number, line in enumerate(lines) if cells(line)[: len(header)] == list(header)]
    assert len(starts) == 1, f"{page.name} has {len(starts)} tables that begin with {header}"
    rows: list[list[str]] = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return rows


def cells(line: str) -> list[str]:
    """The cells of one line of a table; of any other line, nothing that a table begins with."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def codes(cell: str) -> list[str]:
    """What is set in code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)

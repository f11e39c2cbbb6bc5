"""What holds for every page: its links lead somewhere, its commands and its queries run."""

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from docs_pages import HTTP_FILE, PAGES, README, ROOT, blocks, text

from labsessions.cli import app
from labsessions.engines.tables import STEPS

QUERY = re.compile(r'sqlite3 (?:-box )?data/labsessions\.db "([^"]+)"')
SCHEMAS = (ROOT / "actors" / "schema.sql", *(ROOT / "labsessions" / "engines" / step for step in STEPS))

per_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """The headings as GitHub makes links of them."""
    without_code = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def flags_of_commands() -> dict[str, set[str]]:
    """The flags of each command of the command line; of one within a group by both names."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            found |= {f"{name} {inner}": flags(each) for inner, each in command.commands.items()}
        else:
            found[name] = flags(command)
    return found


def flags(command: Any) -> set[str]:
    """Both words of a flag that has two."""
    words = [word for each in command.params for word in (*each.opts, *each.secondary_opts)]
    return {word for word in words if word.startswith("-")}


def flags_in(pages: str) -> set[str]:
    """The flags that are set in code in running text, alone or within a command."""
    return set(re.findall(r"`(?:[^`\n]* )?(--[a-z-]+)", pages))


@per_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """Links within the project: the file exists, and the heading too."""
    for target in re.findall(r"\]\(([^)]+)\)", text(page)):
        assert "://" not in target, "a link out of the project cannot be checked"
        file, _, heading = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        assert not heading or heading in anchors(path), target


def test_every_page_is_linked_from_the_readme() -> None:
    """Otherwise nobody finds it."""
    wanted = {str(page.relative_to(ROOT)) for page in [*PAGES[1:], HTTP_FILE]}
    assert wanted - set(re.findall(r"\]\(([^)#]+)", text(README))) == set()


@per_page
def test_every_flag_in_a_command_exists(page: Path) -> None:
    """`python run.py …` in a block names a command, and only flags that this command has."""
    known = flags_of_commands()
    for line in "".join(blocks(page, "bash")).splitlines():
        _, found, rest = line.partition("python run.py")
        words = shlex.split(rest, comments=True) if found else []
        if words[:1] == ["--version"]:
            continue
        command = words[0] if words and not words[0].startswith("-") else "serve"
        command = command if command in known else " ".join(words[:2])
        assert {word for word in words if word.startswith("--")} <= known[command], line


@pytest.mark.parametrize("command", sorted(flags_of_commands()))
def test_every_command_and_flag_is_documented(command: str) -> None:
    """Those of `serve` in the README, those of the other commands on any page."""
    pages = [README] if command == "serve" else PAGES
    everything = "".join(text(page) for page in pages)
    assert f"python run.py {command}" in everything
    assert flags_of_commands()[command] - flags_in(everything) == set()


@per_page
def test_no_page_invents_a_flag(page: Path) -> None:
    """Every flag in running text is one of some command."""
    assert flags_in(text(page)) - set().union(*flags_of_commands().values()) == set()


@per_page
def test_every_query_runs(page: Path) -> None:
    """Over the tables as the service makes them; none is overlooked."""
    queries = QUERY.findall(text(page))
    assert len(queries) == text(page).count('data/labsessions.db "')
    with closing(sqlite3.connect(":memory:")) as database:
        for schema in SCHEMAS:
            database.executescript(schema.read_text("utf-8"))
        for query in queries:
            database.execute(query)


def test_the_readme_has_the_query_that_operators_know() -> None:
    """The condition of the replaced system's "Query Active Sessions", letter by letter."""
    assert "CASE \n      WHEN datetime(created_at, '+' || duration || ' minutes') < datetime('now') \n" in text(README)

"""The page of operators' commands against the command line itself."""

import re

import typer
from docs_pages import DOCS, codes, table, text

from labsessions.cli import app
from labsessions.cli.operating import DEFAULT_URL, EXIT_UNREACHABLE
from labsessions.cli.root import EXIT_CANNOT_START, EXIT_FAULTY, OPERATE
from labsessions.http import errors
from labsessions.http.admin.endpoints_orphans import REPORT, SWEEP
from labsessions.http.admin.log import LOG

PAGE = DOCS / "command-line.md"


def operators_commands() -> set[str]:
    """Those over the admin API, and the one that checks settings; groups by their commands."""
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    found = {"check-config"}
    for name, command in root.commands.items():
        if isinstance(command, typer.core.TyperGroup) and name == "webhooks":
            found |= {f"{name} {inner}" for inner in command.commands}
        elif getattr(command, "rich_help_panel", None) == OPERATE:
            found.add(name)
    return found


def sections() -> dict[str, str]:
    """What stands below each heading of a command."""
    parts = re.split(r"^### `([a-z -]+)`$", text(PAGE), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_its_section_with_an_example_and_what_it_prints() -> None:
    """None is left out, none is invented; the example is of the command, and what it printed stands below it."""
    assert sections().keys() == operators_commands()
    for command, section in sections().items():
        assert re.search(rf"^```bash\npython run\.py {command}\b[^`]*```\n\n```text\n", section, re.MULTILINE), command


def test_the_exit_statuses_are_those_of_the_code() -> None:
    """All four, in order."""
    shown = [int(codes(status)[0]) for status, _ in table(PAGE, "Exit status", "Meaning")]
    assert shown == [0, EXIT_FAULTY, EXIT_CANNOT_START, EXIT_UNREACHABLE]


def test_every_command_over_the_api_has_url_and_json() -> None:
    """As the page says of all of them."""
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    for name in operators_commands() - {"check-config"}:
        command: object = root
        for word in name.split():
            assert isinstance(command, typer.core.TyperGroup)
            command = command.commands[word]
        assert isinstance(command, typer.core.TyperCommand)
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {"--url", "--json"} <= flags, name
    assert DEFAULT_URL in text(PAGE)


def test_the_codes_of_the_log_and_of_orphans_are_those_of_the_code() -> None:
    """With their statuses; those of every body and every credential stand elsewhere."""
    mine = (LOG, REPORT, SWEEP)
    codes_of_mine = {each.code: each.status for endpoint in mine for each in endpoint.problems}
    common = {each.code for each in vars(errors).values() if isinstance(each, errors.Problem)}
    shown = {codes(code)[0]: int(status) for status, code, _ in table(PAGE, "Status", "Code", "Meaning")}
    assert shown == {code: status for code, status in codes_of_mine.items() if code not in common}
    for endpoint in mine:
        assert f"`{endpoint.method} {endpoint.path.removeprefix('/api/v1/admin')}" in text(PAGE)

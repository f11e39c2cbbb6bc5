"""The README's tables and commands against the code: each in both directions, so that neither can move alone."""

import re
import shlex
import tomllib
from pathlib import Path

from docs_pages import PAGES, README, ROOT, blocks, codes, table, text

from labsessions import log_lines
from labsessions.settings import Settings, load
from labsessions.settings.secrets import FIELDS
from labsessions.settings.sources import keys, variable

INSTALL_AND_RUN = "pip install . && python run.py"
INSTALL_AND_TEST = "pip install -e '.[test]' && pytest"


def test_the_two_commands_do_everything() -> None:
    """Each stands in a block of its own, to be copied as it is."""
    assert {f"{INSTALL_AND_RUN}\n", f"{INSTALL_AND_TEST}\n"} <= set(blocks(README, "bash"))


def test_the_gate_runs_what_the_readme_says() -> None:
    """`.ci/run` takes its commands from the README: what it greps for must be there, the tests' command among it."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    grepped = re.findall(r'\breadme "([^"$]+)"', script)
    assert INSTALL_AND_TEST in grepped
    assert [command for command in grepped if command not in text(README)] == []


def test_the_settings_table_has_every_key_with_its_variable() -> None:
    """Key by key as in the code; none is left out, none is invented."""
    rows = table(README, "Key", "Environment", "Default")
    expected = {".".join(key): variable(key) for key in keys()}
    assert {codes(key)[0]: codes(name)[0] for key, name, *_ in rows} == expected
    assert all(meaning for *_, meaning in rows)


def test_the_settings_table_shows_the_defaults(tmp_path: Path) -> None:
    """The defaults are TOML: a config file made of the table changes nothing."""
    rows = table(README, "Key", "Environment", "Default")
    config = tmp_path / "table.toml"
    config.write_text("".join(f"{codes(key)[0]} = {codes(default)[0]}\n" for key, _, default, _ in rows), "utf-8")
    assert len(tomllib.loads(config.read_text("utf-8"))) > 1
    assert load({}, {}, config) == Settings()


def test_the_secrets_table_has_every_secret() -> None:
    """With the variable that names a file instead."""
    rows = table(README, "Secret", "Or from a file")
    assert {codes(name)[0]: codes(file)[0] for name, file, _ in rows} == {name: f"{name}_FILE" for name in FIELDS}


def test_every_log_line_is_explained() -> None:
    """The table of events has exactly the lines of `log_lines`."""
    shown = [event for events, _ in table(README, "Event", "What it means, and what to do") for event in codes(events)]
    lines = [line for name, line in vars(log_lines).items() if name.isupper()]
    assert sorted(shown) == sorted(lines)


def test_no_page_invents_a_log_line() -> None:
    """Wherever a page sets an event in code, it is one of the exact texts."""
    lines = {line for name, line in vars(log_lines).items() if name.isupper()}
    for page in PAGES:
        shown = set(re.findall(r"`(\[(?:SessionManager|Handler)\] [^`]+)`", text(page)))
        assert shown - lines == set(), page.name


def test_every_dependency_is_explained() -> None:
    """The table has the packages of pyproject.toml, in the same order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = [re.split(r"[^a-z0-9-]", requirement, maxsplit=1)[0] for requirement in project["dependencies"]]
    assert [package for package, _ in table(README, "Package", "What for")] == packages


def test_the_extras_of_the_commands_exist() -> None:
    """`.[test]` and `.[dev]` are extras of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = set(re.findall(r"\.\[([a-z]+)\]", text(README)))
    assert named == {"test", "dev"}
    assert named <= set(project["optional-dependencies"])


def test_every_folder_and_file_of_the_layout_exists() -> None:
    """The first word of each line is a path."""
    (layout,) = [block for block in blocks(README, "text") if block.startswith("run.py")]
    paths = [shlex.split(line)[0] for line in layout.splitlines()]
    assert [path for path in paths if not (ROOT / path).exists()] == []

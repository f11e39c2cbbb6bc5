"""What a deployment is made of, against the code: unit, Dockerfile, compose file and their page name what there is."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from docs_pages import DOCS, ROOT, codes, table, text
from packaging.specifiers import SpecifierSet
from test_docs_pages import flags_of_commands

from labsessions.http.endpoints import LIVE
from labsessions.readiness import STALLED_SECONDS
from labsessions.settings import Settings, load
from labsessions.settings.reload import WHILE_RUNNING
from labsessions.settings.secrets import FIELDS
from labsessions.settings.sources import keys, variable

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
UNIT = ROOT / "config" / "labsessions.service"
DOCKERFILE = ROOT / "config" / "Dockerfile"
VARIABLES = {variable(key) for key in keys()}


def unit(name: str) -> list[str]:
    """The values of this setting in the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", text(UNIT), re.MULTILINE)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, as (word, rest)."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text(DOCKERFILE), flags=re.MULTILINE))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines() if line]


def of(word: str) -> list[str]:
    """What stands behind this instruction, each time that it does."""
    return [rest for found, rest in instructions() if found == word]


def seconds(time: str) -> float:
    """A time as systemd reads it."""
    number, suffix = re.fullmatch(r"(\d+)(min|s|)", time).groups()  # type: ignore[union-attr]
    return int(number) * (60 if suffix == "min" else 1)


# --- the page ----------------------------------------------------------------------------------------------


def test_the_page_lists_just_what_may_change_while_it_runs() -> None:
    """Each setting once, in both directions."""
    listed = [name for cell, *_ in table(DOCS / "deploy.md", "Setting", "Counts from") for name in codes(cell)]
    assert sorted(listed) == sorted(".".join(key) for key in WHILE_RUNNING)


def test_the_page_says_what_the_unit_says() -> None:
    """Every setting that it explains stands there so."""
    lines = text(UNIT).splitlines()
    for cell, _ in table(DOCS / "deploy.md", "What the unit says", "What for"):
        for said in codes(cell):
            assert any(line.startswith(said) if said.endswith("=") else line == said for line in lines), said


# --- the unit ----------------------------------------------------------------------------------------------


def test_the_unit_starts_what_there_is() -> None:
    """The console script, a command, its flags, variables and secrets."""
    (command,) = unit("ExecStart")
    program, name, *arguments = shlex.split(command)
    assert Path(program).name in PROJECT["scripts"]
    assert {word for word in arguments if word.startswith("--")} <= flags_of_commands()[name]
    assert {line.split("=")[0] for line in unit("Environment")} <= VARIABLES
    credentials = [line.split(":") for line in unit("LoadCredential")]
    assert {name for name, _ in credentials} <= set(FIELDS)
    assert all(Path(path).name == name for name, path in credentials)


def test_the_unit_waits_long_enough() -> None:
    """For a stop, and for a dispatcher of which it is not sure yet that it stands still."""
    longest_stop = load({"shutdown_seconds": 10}, {}).shutdown_seconds
    assert seconds(unit("TimeoutStopSec")[0]) >= 2 * longest_stop
    assert seconds(unit("WatchdogSec")[0]) >= 3 * STALLED_SECONDS


def test_the_unit_keeps_the_data_where_the_service_looks() -> None:
    """The state directory is the data directory, and nobody else's."""
    assert unit("Environment") == [f"LABSESSIONS_DATA_DIR=/var/lib/{unit('StateDirectory')[0]}"]
    assert (unit("StateDirectoryMode"), unit("UMask"), unit("LimitCORE")) == (["0700"], ["0077"], ["0"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Without a word; but for the program, which is not installed here."""
    copy = tmp_path / UNIT.name
    copy.write_text(text(UNIT).replace(unit("ExecStart")[0], "/bin/true"), "utf-8")
    done = subprocess.run(  # noqa: S603 - a program of the system's on our own file
        ["systemd-analyze", "verify", "--man=no", str(copy)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if UNIT.stem in line]
    assert (done.returncode, ours) == (0, []), done.stderr


# --- the image ---------------------------------------------------------------------------------------------


def test_the_image_has_a_python_that_the_project_supports() -> None:
    """Both stages the same one, as wheels are for one version."""
    arguments = dict(line.split("=") for line in of("ARG"))
    assert SpecifierSet(PROJECT["requires-python"]).contains(arguments["PYTHON"])
    images = [line.split()[0] for line in of("FROM")]
    assert len(images) == 2
    assert len(set(images)) == 1
    assert set(re.findall(r"\$\{(\w+)\}", images[0])) == set(arguments)


def test_the_image_is_made_of_what_there_is() -> None:
    """Each source exists and is not ignored; all that the package is built of is there, and the pinned versions."""
    kept = [line[1:] for line in text(ROOT / ".dockerignore").splitlines() if line.startswith("!")]
    sources = [source for line in of("COPY") if "--from" not in line for source in line.split()[:-1]]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), source
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], PROJECT["readme"], "pyproject.toml", "config/constraints.txt"} == set(sources)
    assert any("-c config/constraints.txt ." in line for line in of("RUN"))


def test_the_image_runs_what_there_is() -> None:
    """The console script with a command; variables that exist; the port of the default; not as root; a clean stop."""
    assert of("ENTRYPOINT") == [f'["{next(iter(PROJECT["scripts"]))}"]']
    assert of("CMD") == ['["serve"]']
    variables = dict(pair.split("=", 1) for line in of("ENV") for pair in shlex.split(line))
    assert {name for name in variables if name.startswith("LABSESSIONS_")} <= VARIABLES
    assert of("VOLUME") == of("WORKDIR")[1:] == [variables["LABSESSIONS_DATA_DIR"]]
    assert of("EXPOSE") == [str(Settings().port)]
    assert of("USER") == ["10001:10001"]
    assert of("STOPSIGNAL") == ["SIGTERM"]


class _Health(BaseHTTPRequestHandler):
    """Answers the route that says whether the process is alive with the status that its server is told to."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == LIVE.path else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def health() -> Iterator[HTTPServer]:
    """A server that is asked for its health."""
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False)])
def test_the_image_asks_for_its_health(health: HTTPServer, status: int, *, healthy: bool) -> None:
    """Exit status 0 only if the route answers with 200; 1 too if nobody listens."""
    health.status = status  # type: ignore[attr-defined]
    (check,) = of("HEALTHCHECK")
    program, flag, script = re.findall(r'"([^"]*)"', check[check.index("CMD") :])
    assert (program, flag) == ("python", "-c")

    def asked(port: int) -> int:
        environ = {"PATH": os.environ["PATH"], "LABSESSIONS_PORT": str(port)}
        return subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, flag, script], env=environ, capture_output=True, check=False, timeout=60
        ).returncode

    assert (asked(health.server_port) == 0) == healthy
    assert asked(1) != 0


def test_the_compose_file_names_what_there_is() -> None:
    """Variables, secrets and the port."""
    file = text(ROOT / "config" / "compose.yaml")
    variables = re.findall(r"^      ([A-Z_]+): ", file, re.MULTILINE)
    assert variables
    assert {name.removesuffix("_FILE") for name in variables} <= set(FIELDS)
    assert set(re.findall(r"^  ([A-Z_]+): \{file: \.\./secrets/\1\}$", file, re.MULTILINE)) == {
        name.removesuffix("_FILE") for name in variables if name.endswith("_FILE")
    }
    assert f":{Settings().port}:{Settings().port}" in file
    assert f'"{of("VOLUME")[0]}"' in file.replace("data:/data", "/data")

"""What an installed wheel can do, in another directory and without the checkout."""

import asyncio
import os
import shutil
import sys
import venv
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from docs_examples import example_suite
from processes import ROOT, until

pytestmark = pytest.mark.slow

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment into which the wheel was installed, with pytest beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", ".*cache", "data"))
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    assert asyncio.run(_run(programs / "pip", "install", "-q", source, "pytest", cwd=folder))[0] == 0
    shutil.rmtree(source)
    return programs


async def _run(*command: str | Path, cwd: Path) -> tuple[int, str]:
    """Exit status and output."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=dict(os.environ) | {"PYTHONPATH": ""}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 300)
    return process.returncode or 0, said.decode()


async def test_it_starts_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    """The console script serves."""
    ready = tmp_path / "ready"
    serving = await asyncio.create_subprocess_exec(
        installed / "labsessions", "--port", "0", "--ready-file", ready, cwd=tmp_path, env={"PATH": os.environ["PATH"]}
    )
    try:

        async def address() -> str:
            return ready.read_text() if ready.exists() else ""

        url = await until(address, "the installed service to serve")
        async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as response:
            assert (await response.json())["status"] == "healthy"
        async with aiohttp.ClientSession() as http, http.get(f"{url}/dashboard/app.js") as response:
            assert (response.status, response.content_type) == (200, "text/javascript")  # its files are in the wheel
    finally:
        serving.terminate()
        assert await asyncio.wait_for(serving.wait(), 30) == 0


async def test_a_project_that_uses_it_tests_against_it(installed: Path, tmp_path: Path) -> None:
    """The example suite of the documentation, as an outside project would run it."""
    for name, source in example_suite().items():
        (tmp_path / f"{name}.py").write_text(source)
    status, said = await _run(installed / "python", "-m", "pytest", "-q", cwd=tmp_path)
    assert (status, "3 passed" in said) == (0, True), said

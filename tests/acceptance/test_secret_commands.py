"""`secrets set` and `secrets list` as an operator meets them: nothing is echoed, nothing is shown, faults are said."""

import asyncio
import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from commands import command
from processes import INHERITED, ROOT, until

VALUE = "s3cret-that-nobody-sees"


async def test_what_is_typed_is_not_echoed(tmp_path: Path) -> None:
    """On a terminal it asks by name, and shows nothing of the answer."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    shown = b""
    with subprocess.Popen(  # noqa: ASYNC220, S603 - our own interpreter and program
        [sys.executable, str(ROOT / "run.py"), "secrets", "set", "API_TOKEN", "--data-dir", "data"],
        cwd=tmp_path,
        env=inherited,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - nothing else runs here
    ) as process:
        os.close(theirs)
        os.set_blocking(ours, False)

        async def heard(words: bytes) -> bool:
            nonlocal shown
            try:
                shown += os.read(ours, 4096)
            except (BlockingIOError, OSError):  # nothing yet, or it has ended
                return words in shown
            return words in shown

        try:
            await until(lambda: heard(b"API_TOKEN: "), "the question")
            os.write(ours, f"{VALUE}\n".encode())
            await until(lambda: heard(b"no running service was found"), "the end")
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            os.close(ours)
    assert b"is stored in" in shown
    assert b"s3cret" not in shown
    assert (tmp_path / "data" / "secrets" / "API_TOKEN").read_text() == f"{VALUE}\n"


async def test_a_list_for_programs(tmp_path: Path) -> None:
    """One document: each secret, whether it is set, where it is taken from, and what is wrong with it."""
    assert (await command(tmp_path, "secrets", "set", "ADMIN_TOKEN", stdin=VALUE))[0] == 0
    status, said = await command(tmp_path, "secrets", "list", "--json", API_TOKEN=VALUE, BACKEND_API_TOKEN_FILE="/none")
    secrets = {secret.pop("name"): secret for secret in json.loads(said)["secrets"]}
    fault = "cannot read /none: No such file or directory"
    not_set = {"origin": None, "fault": None, "set": False}
    assert status == 0
    assert secrets == {
        "BACKEND_API_URL": not_set,
        "BACKEND_API_TOKEN": {"origin": "BACKEND_API_TOKEN_FILE=/none", "fault": fault, "set": False},
        "API_TOKEN": {"origin": "API_TOKEN", "fault": None, "set": True},
        "ADMIN_TOKEN": {"origin": str(tmp_path / "data" / "secrets" / "ADMIN_TOKEN"), "fault": None, "set": True},
        "JWT_HS256_KEY": not_set,
    }
    _, shown = await command(tmp_path, "secrets", "list", API_TOKEN=VALUE, BACKEND_API_TOKEN_FILE="/none")
    assert [line.split()[1] for line in shown.splitlines()] == ["not", "faulty", "set", "set", "not"]
    assert "s3cret" not in said + shown


async def test_what_does_not_count_is_said(tmp_path: Path) -> None:
    """Something else goes before: it is stored all the same, and the operator is told where the other one is."""
    status, said = await command(tmp_path, "secrets", "set", "API_TOKEN", stdin=VALUE, API_TOKEN="of-the-shell")
    assert status == 0
    assert "but API_TOKEN is taken from API_TOKEN, which goes before" in said
    assert "of-the-shell" not in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("API_TOKN",), "there is no secret API_TOKN"),
        (("API_TOKEN", VALUE), "unexpected extra argument"),
        (("API_TOKEN", "--config", "none.toml"), "config file none.toml: cannot be read"),
        (("BACKEND_API_URL",), "BACKEND_API_URL: must be http:// or https://"),
    ],
)
async def test_faults_are_said(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    """Exit status 2; nothing is stored."""
    status, said = await command(tmp_path, "secrets", "set", *arguments, stdin=VALUE)
    assert status == 2
    assert why in " ".join(said.split())
    assert not list(tmp_path.rglob("secrets/*"))

"""Questions and progress as a person sees them: on a terminal of its own."""

import asyncio
import os
import pty
import sys
from typing import Any

import pytest
from cli_service import TOKEN, Asked, FakeApi
from processes import DEADLINE_SECONDS, ROOT


async def typed(api: FakeApi, answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal, where somebody types `answer` to its question; exit status, and what was shown."""
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "LABSESSIONS_URL": api.url, "ADMIN_TOKEN": TOKEN, "TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "run.py"), *arguments, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while chunk := await loop.run_in_executor(None, _read, ours):
            shown += chunk
            if b"[y/N]: " in shown and answer:
                os.write(ours, answer.encode())
                answer = ""
        status = await process.wait()
    os.close(ours)
    return status, shown.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how a terminal says that nobody is at the other end any more
        return b""


def _retried(asked: Asked) -> dict[str, Any]:
    dry = asked.body["dry_run"]
    return {"matched": 7, "retried": 0 if dry else 7, "running": 0, "failed": 0, "dry_run": dry}


@pytest.mark.parametrize(("answer", "status", "requests"), [("y\n", 0, 2), ("n\n", 1, 1), ("\n", 1, 1)])
async def test_the_question_has_the_count_and_no_is_the_usual_answer(
    api: FakeApi, answer: str, status: int, requests: int
) -> None:
    """Only a yes does it."""
    api.answers["POST /retry"] = _retried
    ended, shown = await typed(api, answer, "retry", "--all-stuck")
    assert "Make the next attempt of 7 cleanups due now? [y/N]: " in shown
    assert (ended, len(api.asked)) == (status, requests)
    assert ("nothing was done" in shown) == (status == 1)


async def test_forget_says_what_it_means_before_it_does_it(api: FakeApi) -> None:
    """The VMs may still run; the user is named."""
    ended, shown = await typed(api, "n\n", "forget", "ann", "--reason", "r")
    assert (ended, api.asked) == (1, [])
    assert "'ann'" in shown
    assert "may still run" in " ".join(shown.split())


async def test_progress_is_shown_where_it_takes_long(api: FakeApi) -> None:
    """While pages are read: a bar with how much there is in all."""

    def page(asked: Asked) -> dict[str, Any]:
        n = int(asked.query.get("cursor", "0"))
        return {"sessions": [], "next_cursor": None if n == 3 else str(n + 1), "total": 4}

    api.answers["GET /sessions"] = page
    ended, shown = await typed(api, "", "sessions", "--all")
    assert (ended, "Reading" in shown) == (0, True)

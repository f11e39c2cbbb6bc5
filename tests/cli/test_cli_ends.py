"""How the commands over the admin API end, whoever they talk to: exit status, one line that says what to do, JSON."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from cli_service import TOKEN, FakeApi, Refuses

PAUSED = {"paused": None}


async def test_done_is_0_and_the_audit_is_told_who_it_was(api: FakeApi) -> None:
    """The account's name, that of sudo's caller first; what isn't ASCII is left out of a header."""
    api.answers["GET /pause"] = PAUSED
    assert (await api.run("pause")).status == 0
    assert (await api.run("pause", SUDO_USER="Zoë\n" + "x" * 80)).status == 0
    assert api.operators == ["olga", ("Zo" + "x" * 80)[:64]]


async def test_a_refusal_is_1_with_the_service_s_own_words(api: FakeApi) -> None:
    """One line on stderr, nothing on stdout."""
    api.answers["GET /pause"] = Refuses(409, "any_code", "Because\nof this")
    assert await api.run("pause") == (1, "", "labsessions: Because of this\n")


async def test_a_route_that_the_service_does_not_have_is_1(api: FakeApi) -> None:
    """It may be older than the command."""
    ran = await api.run("deployments")
    assert (ran.status, ran.out) == (1, "")
    assert "older release" in ran.err


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [(None, 401, "wants a token"), ("wrong", 401, "refuses the token"), (TOKEN, 403, "not an operator's")],
)
async def test_a_token_that_does_not_open_is_2(api: FakeApi, token: str | None, status: int, words: str) -> None:
    """It is a setting, and the line names it."""
    api.answers["GET /pause"] = Refuses(status, "code", "text")
    ran = await api.run("pause", token=token)
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err
    assert "ADMIN_TOKEN" in ran.err


async def test_the_token_is_read_as_the_service_reads_it(api: FakeApi, tmp_path: Path) -> None:
    """From a file, and of several the first; the value is in no output."""
    api.answers["GET /pause"] = PAUSED
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}, another\n")
    assert (await api.run("pause", token=None, ADMIN_TOKEN_FILE=str(file))).status == 0
    assert (await api.run("pause", token=f"{TOKEN},another")).status == 0
    for env in ({"ADMIN_TOKEN_FILE": str(tmp_path / "none")}, {"ADMIN_TOKEN_FILE": str(file), "token": TOKEN}):
        ran = await api.run("pause", **{"token": None} | env)
        assert (ran.status, ran.out, TOKEN in ran.err) == (2, "", False)
        assert "ADMIN_TOKEN" in ran.err
    secret = "not a\x00header"
    ran = await api.run("pause", token=None, ADMIN_TOKEN_FILE=str(_written(tmp_path / "odd", secret)))
    assert (ran.status, secret in ran.err) == (2, False)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def test_no_answer_is_3(api: FakeApi) -> None:
    """Nobody listens; nobody of that name; no address at all. The line has the address."""
    for url, words in (
        (f"http://127.0.0.1:{unused_port()}", "is the service running?"),
        ("http://name.invalid", "host not found"),
        ("ftp://127.0.0.1", "no http://"),
    ):
        ran = await api.run("pause", "--url", url)
        assert (ran.status, ran.out) == (3, ""), url
        assert url in ran.err
        assert words in ran.err
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<html>"),
        web.Response(text="[]"),
        web.Response(text='{"data": 1}'),
        web.Response(text="<html>", status=502),
        web.Response(status=307, headers={"Location": "https://elsewhere.example/"}),
        web.Response(text='{"error": "x"}', status=404),
    ],
    ids=["page", "array", "no data", "proxy's page", "redirect", "not ours"],
)
async def test_what_is_not_labsessions_is_3(api: FakeApi, answer: web.Response) -> None:
    """The token is not sent elsewhere, and no traceback is shown."""
    api.answers["GET /pause"] = lambda _: answer
    ran = await api.run("pause")
    assert (ran.status, ran.out) == (3, "")
    assert "is not labsessions" in ran.err


async def test_an_answer_that_breaks_off_is_3(api: FakeApi) -> None:
    """Whatever was done: the line says that the connection broke."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data": ')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        ran = await api.run("pause", "--url", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert (ran.status, "broke off" in ran.err) == (3, True)


async def test_with_json_stdout_has_one_document_whatever_happens(api: FakeApi) -> None:
    """Of a success the answer's data, of a failure its words and a code; stderr has the line as ever."""
    api.answers["GET /pause"] = PAUSED
    assert (await api.run("pause", "--json")).json() == PAUSED
    api.answers["GET /pause"] = Refuses(409, "any_code", "Because")
    refused = await api.run("pause", "--json")
    assert (refused.status, refused.json()) == (1, {"error": "Because", "code": "any_code"})
    assert refused.err == "labsessions: Because\n"
    unreachable = await api.run("pause", "--json", "--url", f"http://127.0.0.1:{unused_port()}")
    assert (unreachable.status, unreachable.json()["code"]) == (3, "unreachable")
    wrong = await api.run("pause", "--json", "--minutes", "5")
    assert (wrong.status, wrong.json()["code"]) == (2, "usage")
    token = await api.run("pause", "--json", token=None)
    assert (token.status, token.json()["code"]) == (2, "usage")


async def test_a_wrong_option_is_2(api: FakeApi) -> None:
    """As everywhere; nothing is asked."""
    for wrong in (["sessions", "--nonsense"], ["sessions", "--limit", "0"], ["extend"], ["nonsense"]):
        assert (await api.run(*wrong)).status == 2
    assert api.asked == []


@pytest.mark.parametrize(
    "command",
    [["end", "ann"], ["forget", "ann", "--reason", "r"], ["retry", "--all-stuck"], ["orphans", "--sweep"]],
    ids=lambda command: str(command[0]),
)
async def test_where_nobody_can_be_asked_nothing_is_done(api: FakeApi, command: list[str]) -> None:
    """Exit status 2, and the line names the way to say yes beforehand."""
    vm = {"lab_request_id": "vm-1", "created_at": None, "age_seconds": None, "user_id": None}
    api.answers["POST /retry"] = {"matched": 2, "retried": 0, "dry_run": True}
    api.answers["POST /orphans/sweep"] = {"matched": 1, "vms": [vm]}
    ran = await api.run(*command)
    assert ran.status == 2
    assert "--yes" in ran.err
    assert all(asked.body["dry_run"] for asked in api.asked)


async def test_what_clients_sent_moves_no_cursor(api: FakeApi) -> None:
    """Tables show printable characters on single lines, JSON escapes the rest."""
    item = {"at": "2026-11-25T08:00:00.000Z", "who": "o", "action": "Forget", "user_id": "u", "outcome": "done"}
    api.answers["GET /audit"] = {
        "entries": [{**item, "reason": "a\x1b[2Jb\nc", "detail": {"n": 1}}],
        "next_cursor": None,
    }
    shown = (await api.run("audit")).out
    assert "\x1b" not in shown
    assert "a [2Jb c" in shown
    assert "\x1b" not in json.dumps((await api.run("audit", "--json")).out, ensure_ascii=False)

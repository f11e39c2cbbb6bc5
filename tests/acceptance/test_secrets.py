"""No secret leaves the real process: not by its log, answers, pages, files, settings or the process list."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from commands import command
from processes import SESSION, Process, lab_body, until
from unruly_backend import FAULTS, Fault, says, unruly_backend
from webhook_receiver import SECRET, webhook_receiver

API, ADMIN, BACKEND = "api-s3cret-token", "admin-s3cret-token", "backend-s3cret-token"
KEY = "key-s3cret-of-the-identity-provider"
ISSUED = {"LABSESSIONS_JWT__ISSUER": "https://id.test/", "LABSESSIONS_JWT__AUDIENCE": "labs"}
SIGNING = SECRET.removeprefix("whsec_")
SECRETS = {
    "API_TOKEN": API,
    "ADMIN_TOKEN": ADMIN,
    "BACKEND_API_TOKEN": BACKEND,
    "JWT_HS256_KEY": KEY,
    "WEBHOOK_OPS_SECRET": SIGNING,
}
WEBHOOKS = "/api/v1/admin/webhooks"
SOON = 0.005  # minutes: 300 ms

# Backends that show what they were sent, as some do in their errors.
TALKATIVE = {
    "says the token": Fault(says("500 No", body=f'{{"error": "wrong token {BACKEND}"}}'.encode()), "HTTP 500"),
    "says it in a header": Fault(says("401 No", f'WWW-Authenticate: Bearer realm="{BACKEND}"'), "HTTP 401"),
    "redirects with it": Fault(says("302 Found", f"Location: http://127.0.0.1:1/{BACKEND}?t={BACKEND}"), "redirect to"),
    "breaks the protocol with it": Fault(says(f"999999 {BACKEND}", f"{BACKEND}: \x00{BACKEND}"), None),
}


def user_token(user: str, **changes: Any) -> str:
    """A user's token, good but for the changes."""
    claims = {"sub": user, "iss": "https://id.test/", "aud": "labs", "exp": 4_000_000_000} | changes
    return jwt.encode(claims, KEY, "HS256")


async def test_no_secret_is_found_anywhere(tmp_path: Path) -> None:
    """With every fault of the backend in play, and with every kind of token, good and bad, at every route."""
    tokens = {
        "good": user_token("alice"),
        "expired": user_token("alice", exp=1),
        "of others": user_token("alice", aud="others"),
        "forged": jwt.encode({"sub": "alice"}, "x" * 32, "HS256"),
    }
    said: list[str] = []
    async with unruly_backend() as backend, webhook_receiver() as receiver, aiohttp.ClientSession() as http:
        backend.more |= TALKATIVE
        # An endpoint that shows what it shares with us, and whose address is not for everybody.
        receiver.answers = [lambda: web.Response(status=500, text=f"{SECRET} {SIGNING} {receiver.url}")] * 2
        service = Process(
            tmp_path,
            "service",
            *("serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
            BACKEND_API_URL=f"http://127.0.0.1:{backend.port}",
            LABSESSIONS_LOG__LEVEL="debug",
            LABSESSIONS_WEBHOOKS=f'[{{"name": "ops", "url": "{receiver.url}"}}]',
            LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS="3",
            **SECRETS,
            **ISSUED,
        )

        async def call(token: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"}
            async with http.request(method, service.url + path, json=body, headers=headers) as answer:
                text = await answer.text()
                said.append(f"{answer.headers} {text}")
                return answer.status, text

        async def failed(user: str) -> bool:
            status, text = await call(API, "GET", f"{SESSION}/user/{user}")
            return status == 404 or '"last_error":"' in text

        try:
            await service.start()
            faults = [*FAULTS, *TALKATIVE]
            for number, fault in enumerate(faults):
                body = lab_body(f"user-{number}") | {"duration": SOON, "lab_request_id": fault}
                assert (await call(API, "POST", SESSION, body))[0] == 201
            for number, fault in enumerate(faults):
                await until(lambda user=f"user-{number}": failed(user), f"a failure by {fault}")  # type: ignore[misc]
            for token in (API, ADMIN, BACKEND, KEY, SIGNING, f"{API},{API}", *tokens.values()):
                for method, path in (
                    *(("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/health/ready")),
                    *(("GET", f"/{token}"), ("PUT", f"{SESSION}/{token}"), ("DELETE", f"{SESSION}/alice")),
                    *(("GET", WEBHOOKS), ("GET", f"{WEBHOOKS}/ops/dead-letters")),
                    ("POST", f"{WEBHOOKS}/{token}/enable"),
                    *(("POST", SESSION), ("GET", f"{SESSION}/user/alice?access_token={token}")),
                ):
                    await call(token, method, path)
            process_list = await asyncio.to_thread(
                lambda: " ".join(path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("*/cmdline"))
            )
            env = SECRETS | ISSUED | {"BACKEND_API_URL": f"http://127.0.0.1:{backend.port}"}
            _, examined = await command(tmp_path, "doctor", "--data-dir", "data", **env)
        finally:
            await service.end()
    log = service.log()
    for what, text in {
        "the log": log,
        "an answer": "\n".join(said),
        "the process list": process_list,
        "the doctor": examined,
        "the database": dump(tmp_path / "data" / "labsessions.db"),
    }.items():
        for name, secret in SECRETS.items():
            assert secret not in text, f"{name} is in {what}"
        assert "k3y" not in text, f"the webhook's address is in {what}"
        for name, token in tokens.items():
            assert token not in text, f"the token that is {name} is in {what}"
            assert token.rpartition(".")[2] not in text, f"the signature of the token that is {name} is in {what}"
    assert "[redacted]" in log  # the paths above had them
    assert "[Webhooks] ⚠️ Delivery failed" in log
    assert '"detail":"InvalidAudienceError"' in log
    assert "\0".join(["run.py", "serve", "--port", "0", "--data-dir", str(tmp_path)]) in process_list


def dump(database: Path) -> str:
    """All that is stored, as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


@pytest.mark.parametrize(
    "faulty",
    [
        *({"ADMIN_TOKEN": API}, {"JWT_HS256_KEY": "s3cret"}, {"API_TOKEN": "a s3cret"}),
        {"WEBHOOK_OPS_SECRET": "s3cret", "LABSESSIONS_WEBHOOKS": '[{"name":"ops","url":"https://h.test/s3cret"}]'},
    ],
)
async def test_a_start_that_is_refused_shows_none(tmp_path: Path, faulty: dict[str, str]) -> None:
    """The message names the variable, not the value; so does the doctor's."""
    service = Process(tmp_path, "refused", "--port", "0", **SECRETS | ISSUED | faulty)
    await service.launch()
    assert await service.exit_status() == 2
    _, examined = await command(tmp_path, "doctor", "--data-dir", "data", **SECRETS | ISSUED | faulty)
    for said in (service.log(), examined):
        assert next(iter(faulty)) in said
        assert "s3cret" not in said


async def test_files_are_their_owners_only(tmp_path: Path) -> None:
    """Though the shell would let others read: 0600 for files, 0700 for folders; data, ready file, backup, restored."""
    data, target = tmp_path / "var" / "data", tmp_path / "copy.db"
    service = Process(tmp_path, "service", "--port", "0", "--data-dir", str(data))
    try:
        await service.start()
        async with aiohttp.ClientSession() as http, http.post(service.url + SESSION, json=lab_body("alice")) as answer:
            assert answer.status == 201
        assert (await command(tmp_path, "backup", str(target), "--data-dir", str(data)))[0] == 0
        running = modes(data)
        assert {"labsessions.db", "labsessions.db-wal", "labsessions.db-shm", "lock"} <= {path.name for path in running}
    finally:
        await service.end()
    assert (await command(tmp_path, "restore", str(target), "--data-dir", str(data)))[0] == 0
    restored = modes(data)
    assert any("before-restore" in path.name for path in restored)
    for path, mode in {**running, **restored, **modes(data.parent)}.items():
        assert mode == (0o700 if path.suffix == "" and path.name in {"var", "data"} else 0o600), path
    for path in (target, tmp_path / "service.ready"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def modes(folder: Path) -> dict[Path, int]:
    """Of the folder and all that is in it."""
    return {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}

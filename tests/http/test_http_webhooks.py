"""The routes about webhooks, over a fake that keeps to the port."""

from typing import Any

import jsonschema
import pytest
from http_driven import Api, DrivenReadiness, DrivenSessions
from openapi_spec_validator import validate
from pytest_aiohttp import AiohttpClient

from labsessions.core.audit import Entry
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.webhooks import WEBHOOKS, webhook_routes
from labsessions.ports import WebhookRefusedError

AT = "2026-11-25T08:00:00.123Z"
OPS: dict[str, Any] = {
    "name": "ops",
    "url": "https://hooks.test/…",
    "events": ["session.stuck"],
    "state": "disabled",
    "cursor": 7,
    "lag": 3,
    "attempts": 1,
    "failing_since": AT,
    "last_error": "HTTP 410",
    "next_attempt_at": None,
    "disabled_at": AT,
    "last_delivered_at": None,
    "lost": 0,
    "dead_letters": 2,
}


def letter(seq: int) -> dict[str, Any]:
    """A dead letter as the port shows it."""
    told = {"type": "session.stuck", "at": AT, "payload": {"type": "session.stuck"}, "webhook_id": f"msg_{seq}"}
    return {"seq": seq, **told, "attempts": 9, "given_up_at": AT, "last_error": "HTTP 400"}


class DrivenWebhooks:
    """`ports.Webhooks` of one endpoint, `ops`; notes what it is asked for. `refusal`: why a replay is refused."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: str | None = None

    async def endpoints(self) -> list[dict[str, Any]]:
        """See the port."""
        return [OPS]

    async def dead_letters(self, name: str, after: int, limit: int) -> list[dict[str, Any]] | None:
        """Five of them."""
        return None if name != "ops" else [letter(seq) for seq in range(1, 6) if seq > after][:limit]

    async def replay(self, name: str, from_seq: int | None, *, dead_letters: bool) -> dict[str, Any] | None:
        """See the port."""
        if name != "ops":
            return None
        if self.refusal is not None:
            raise WebhookRefusedError(self.refusal)
        self.asked.append((from_seq, dead_letters))
        return {"from_seq": from_seq, "events": 3, "dead_letters": 2}

    async def enable(self, name: str) -> dict[str, Any] | None:
        """See the port."""
        return None if name != "ops" else {**OPS, "state": "active"}


@pytest.fixture
def webhooks() -> DrivenWebhooks:
    """What is behind `api`."""
    return DrivenWebhooks()


class DrivenAudit:
    """`ports.Audit` that keeps what is noted."""

    def __init__(self) -> None:
        self.noted: list[Entry] = []

    async def note(self, entry: Entry) -> None:
        """See the port."""
        self.noted.append(entry)

    async def entries(self, before: int | None, limit: int) -> list[dict[str, Any]]:
        """See the port."""
        raise AssertionError(before, limit)


@pytest.fixture
def audit() -> DrivenAudit:
    """Where what operators do is noted."""
    return DrivenAudit()


@pytest.fixture
async def api(
    aiohttp_client: AiohttpClient,
    engine: DrivenSessions,
    readiness: DrivenReadiness,
    webhooks: DrivenWebhooks,
    audit: DrivenAudit,
) -> Api:
    """The front door with these routes; an operator's client."""
    options = ApiOptions(version="1", tokens=("api-token",), admin_tokens=("admin-token",))
    app = make_app(engine, readiness, options, groups=(webhook_routes(webhooks, audit, 30),))
    client: Api = await aiohttp_client(app, headers={"Authorization": "Bearer admin-token"})
    return client


async def described(api: Api, name: str, data: Any) -> None:
    """Fails unless the data is as the description says."""
    document = await (await api.get("/openapi.json")).json()
    validate(document)
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(data)


async def test_the_list(api: Api) -> None:
    """As the port shows them, in the envelope, and as described."""
    answer = await api.get(WEBHOOKS)
    body = await answer.json()
    assert (answer.status, body["success"], body["data"]) == (200, True, {"endpoints": [OPS]})
    await described(api, "Webhooks", body["data"])


async def test_only_operators(api: Api) -> None:
    """Not even the platform."""
    for method, path in (
        *(("GET", ""), ("GET", "/ops/dead-letters")),
        *(("POST", "/ops/replay"), ("POST", "/ops/enable")),
    ):
        answer = await api.request(method, WEBHOOKS + path, headers={"Authorization": "Bearer api-token"})
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")


async def test_dead_letters_page_by_page(api: Api) -> None:
    """`next_after` leads through all of them, each once; the last page has none."""
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        answer = await api.get(f"{WEBHOOKS}/ops/dead-letters?limit=2&after={after}")
        data = (await answer.json())["data"]
        await described(api, "DeadLetters", data)
        seen += [each["seq"] for each in data["dead_letters"]]
        after = data["next_after"]
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=", "after=-1", "after=" + "9" * 19])
async def test_a_wrong_page(api: Api, query: str) -> None:
    """The answer names the parameter and what it may be."""
    answer = await api.get(f"{WEBHOOKS}/ops/dead-letters?{query}")
    body = await answer.json()
    assert (answer.status, body["code"]) == (400, "invalid_parameter")
    assert body["error"].startswith(f"Parameter '{query.partition('=')[0]}' must be a whole number from ")


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"from_seq": 4}, (4, False)),
        ({"dead_letters": True}, (None, True)),
        ({"from_seq": 4, "dead_letters": True}, (4, True)),
        ({"from_seq": 4, "dead_letters": None}, (4, False)),
    ],
)
async def test_a_replay(api: Api, webhooks: DrivenWebhooks, body: Any, asked: Any) -> None:
    """From a number on, or the dead letters, or both."""
    answer = await api.post(f"{WEBHOOKS}/ops/replay", json=body)
    said = await answer.json()
    assert (answer.status, webhooks.asked) == (200, [asked])
    await described(api, "Replay", said["data"])
    await described(api, "ReplayRequest", body)


@pytest.mark.parametrize(
    ("body", "code", "error"),
    [
        ({}, "missing_fields", "Missing required fields: from_seq or dead_letters"),
        ({"dead_letters": False}, "missing_fields", "Missing required fields: from_seq or dead_letters"),
        ({"from_seq": 0}, "invalid_field", "Field 'from_seq' must be an integer from 1 to 9223372036854775807, got 0"),
        ({"from_seq": 1.5}, "invalid_field", "Field 'from_seq' must be an integer from 1 to"),
        ({"dead_letters": 1}, "invalid_field", "Field 'dead_letters' must be true or false, got 1"),
        ([], "not_an_object", "Request body must be a JSON object"),
    ],
)
async def test_a_wrong_replay(api: Api, webhooks: DrivenWebhooks, body: Any, code: str, error: str) -> None:
    """Nothing begins."""
    answer = await api.post(f"{WEBHOOKS}/ops/replay", json=body)
    said = await answer.json()
    assert (answer.status, said["code"], webhooks.asked) == (400, code, [])
    assert said["error"].startswith(error)


async def test_a_replay_that_makes_no_sense_now(api: Api, webhooks: DrivenWebhooks) -> None:
    """409, and why."""
    webhooks.refusal = "it is disabled, enable it first"
    answer = await api.post(f"{WEBHOOKS}/ops/replay", json={"from_seq": 1})
    said = await answer.json()
    assert (answer.status, said["code"]) == (409, "webhook_refused")
    assert said["error"] == "The webhook cannot do that now: it is disabled, enable it first"


async def test_enable(api: Api) -> None:
    """Without a body; the answer shows where it stands then."""
    answer = await api.post(f"{WEBHOOKS}/ops/enable")
    said = await answer.json()
    assert (answer.status, said["data"]["state"]) == (200, "active")
    await described(api, "Webhook", said["data"])


async def test_no_such_webhook(api: Api) -> None:
    """404 with a code of its own."""
    for method, path, body in (
        *(("GET", "/x/dead-letters", None), ("POST", "/x/replay", {"from_seq": 1})),
        ("POST", "/x/enable", None),
    ):
        answer = await api.request(method, WEBHOOKS + path, json=body)
        assert (answer.status, (await answer.json())["code"]) == (404, "webhook_not_found")


async def test_what_operators_do_is_in_the_audit(api: Api, webhooks: DrivenWebhooks, audit: DrivenAudit) -> None:
    """Who, what, with which outcome; refusals too. What was only looked at isn't, nor is a name that is none."""
    grace = {"X-Operator": "grace"}
    await api.get(WEBHOOKS)
    await api.post(f"{WEBHOOKS}/ops/enable", headers=grace)
    await api.post(f"{WEBHOOKS}/x/enable")
    await api.post(f"{WEBHOOKS}/ops/replay", json={"from_seq": 4}, headers=grace)
    webhooks.refusal = "no"
    await api.post(f"{WEBHOOKS}/ops/replay", json={"dead_letters": True})
    assert [(entry.who, entry.action, entry.outcome, entry.detail) for entry in audit.noted] == [
        ("grace", "webhook_enable", "done", {"webhook": "ops"}),
        ("grace", "webhook_replay", "done", {"webhook": "ops", "from_seq": 4}),
        ("operator", "webhook_replay", "webhook_refused", {"webhook": "ops", "dead_letters": True}),
    ]
    assert (await api.post(f"{WEBHOOKS}/ops/enable", headers={"X-Operator": "x" * 65})).status == 400

"""The page on webhooks against the code: types, members, settings, log lines."""

import re
import tomllib
from typing import Any

import msgspec
from builders import NOW, User
from docs_pages import DOCS, blocks, codes, table, text
from msgspec import structs

from labsessions.core.messages import Delete, Event, ExtendBy
from labsessions.core.policy import Policy
from labsessions.core.record import recorded
from labsessions.settings import load
from labsessions.settings.webhooks import Webhook
from labsessions.webhooks import lines
from labsessions.webhooks.messages import TYPES, USUAL, message

PAGE = DOCS / "webhooks.md"
ALWAYS = {"seq", "user_id", "session_id"}
FORGOTTEN = {"reason": "forgotten", "attempts": 0, "lateness_seconds": None}
SECRET = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


def types() -> list[tuple[str, set[str]]]:
    """Each type of the page with its members, in order."""
    return [(codes(kind)[0], set(codes(more))) for kind, _, more in table(PAGE, "Type", "When")]


class Recorder(User):
    """A user that keeps the messages of all that happens to it."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.bodies: list[dict[str, Any]] = []

    def say(self, message_: Any, now_ms: int) -> Any:
        """See `User`."""
        decision = super().say(message_, now_ms)
        events: tuple[Event, ...] = decision.events
        for event in events:
            told = message("ops", {"seq": 1, **recorded(event, now_ms)})
            self.bodies.append(msgspec.json.decode(told.body))
        return decision


def test_the_types_and_their_members() -> None:
    """In both directions, as real events have them; the usual ones stand first."""
    policy = structs.replace(Policy(), warn_before_ms=(300_000,), owed_after_ms=60_000, stuck_after=2, spread=0.0)
    first, second = Recorder(policy), Recorder(policy)
    first.create().say(ExtendBy(30, None), NOW + 1)
    first.expire().expire().fail().expire().fail().expire()  # the warning, then attempts
    first.say(first.outcome(*first.newest_clean.vms), first.due_ms - 1)
    second.create().say(Delete(), NOW + 1000)
    second.expire()
    second.say(second.outcome(*second.newest_clean.vms), NOW + 70_000)
    second.create(generation="2" * 36).say(Delete(), NOW + 80_000)
    second.create(generation="3" * 36)
    for kind, data in (("session.ended", FORGOTTEN), ("session.forgotten", {"vms": 1})):  # as operators leave them
        row = {"generation": "g", "session_id": "s", "user_id": "u", "type": kind, "data": msgspec.json.encode(data)}
        first.bodies.append(msgspec.json.decode(message("ops", {"seq": 1, "at": "at", **row}).body))
    found: dict[str, set[str]] = {}
    for body in first.bodies + second.bodies:
        found.setdefault(body["type"], set()).update(body["data"].keys() - ALWAYS - {"owed"})
    assert found == dict(types())
    assert tuple(kind for kind, _ in types()) == TYPES
    assert TYPES[: len(USUAL)] == USUAL


def test_the_example_has_the_members_of_its_type() -> None:
    """The body that is shown."""
    (block,) = blocks(PAGE, "http")
    body = msgspec.json.decode(block.strip().splitlines()[-1])
    assert set(body["data"]) == ALWAYS | dict(types())[body["type"]]


def test_the_keys_with_their_defaults() -> None:
    """All that an endpoint may say; the section that is shown can be loaded."""
    fields = {field.alias or name: field for name, field in Webhook.model_fields.items()}
    shown = {codes(key)[0]: default for key, default, _ in table(PAGE, "Key", "Default")}
    assert shown.keys() == fields.keys()
    for key, default in shown.items():
        if key != "events" and not fields[key].is_required():
            assert tomllib.loads(f"x = {codes(default)[0]}") == {"x": fields[key].default}
    (section,) = blocks(PAGE, "toml")
    (webhook,) = tomllib.loads(section)["webhooks"]
    environ = {"LABSESSIONS_WEBHOOKS": msgspec.json.encode([webhook]).decode(), "WEBHOOK_ON_CALL_SECRET": SECRET}
    (loaded,) = load({}, environ).webhooks
    assert loaded.types == {"session.cleanup_failed", "session.stuck"}


def test_the_log_lines() -> None:
    """Exactly those that there are."""
    shown = [line for cell, _ in table(PAGE, "Line", "What it means, and what to do") for line in codes(cell)]
    assert sorted(shown) == sorted(line for name, line in vars(lines).items() if name.isupper())
    assert set(re.findall(r"`(\[Webhooks\] [^`]+)`", text(PAGE))) == set(shown)

"""Routes about webhooks: where the endpoints stand, what was given up, and sending it once more."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from aiohttp import web

from labsessions.core.audit import DONE, Entry
from labsessions.http.admin.operator import Body, operator
from labsessions.http.checks import Schema, boolean, integer
from labsessions.http.endpoints import Answer, Endpoint, Parameter
from labsessions.http.errors import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    BODY_UNREADABLE,
    INVALID_FIELD,
    INVALID_JSON,
    INVALID_OPERATOR,
    INVALID_PARAMETER,
    MISSING_FIELDS,
    NOT_AN_OBJECT,
    Problem,
    RefusedError,
)
from labsessions.http.groups import RouteGroup
from labsessions.http.scopes import Scope
from labsessions.http.shapes import COUNT, INSTANT, INSTANT_OR_NULL, object_of
from labsessions.http.wire import success
from labsessions.ports import Audit, WebhookRefusedError, Webhooks

_Answer = TypeVar("_Answer")

WEBHOOKS: Final = "/api/v1/admin/webhooks"
UNKNOWN: Final = Problem(404, "webhook_not_found", "No webhook of this name is configured")
REFUSED: Final = Problem(409, "webhook_refused", "The webhook cannot do that now")
_USUAL_PAGE: Final = 50
_LARGEST_PAGE: Final = 100
_INT64: Final = (1 << 63) - 1
_NUMBER: Final = re.compile(r"[0-9]{1,18}")

LIST: Final = Endpoint(
    "GET",
    WEBHOOKS,
    "Show where each webhook stands",
    Scope.ADMIN,
    answers=(Answer(200, "Webhooks retrieved successfully", "Webhooks"),),
)
DEAD_LETTERS: Final = Endpoint(
    "GET",
    f"{WEBHOOKS}/{{name}}/dead-letters",
    "Show the events that a webhook has given up",
    Scope.ADMIN,
    answers=(Answer(200, "Dead letters retrieved successfully", "DeadLetters"),),
    problems=(INVALID_PARAMETER, UNKNOWN),
    query=(
        Parameter("after", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "`next_after` of the page before"),
        Parameter("limit", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "The most to show: 1 to 100, usually 50"),
    ),
)
REPLAY: Final = Endpoint(
    "POST",
    f"{WEBHOOKS}/{{name}}/replay",
    "Send a webhook's events once more, with the same ids",
    Scope.ADMIN,
    answers=(Answer(200, "Replay begins", "Replay"),),
    body="ReplayRequest",
    problems=(
        *(BODY_UNREADABLE, INVALID_JSON, NOT_AN_OBJECT, INVALID_FIELD, MISSING_FIELDS),
        *(BODY_TOO_SLOW, BODY_TOO_LARGE, INVALID_OPERATOR, UNKNOWN, REFUSED),
    ),
)
ENABLE: Final = Endpoint(
    "POST",
    f"{WEBHOOKS}/{{name}}/enable",
    "Call a webhook's endpoint again, at once, whatever it said last",
    Scope.ADMIN,
    answers=(Answer(200, "Webhook enabled", "Webhook"),),
    problems=(INVALID_OPERATOR, UNKNOWN),
)


_REPLAY: Final = Body({"from_seq": integer(1, _INT64), "dead_letters": boolean()})


_WEBHOOK: Final = object_of(
    name={"type": "string"},
    url={"type": "string", "description": "Without what may be secret: path and query"},
    events={"type": "array", "items": {"type": "string"}},
    state={"enum": ["active", "retrying", "disabled"]},
    cursor={**COUNT, "description": "All events up to this number are done with"},
    lag={**COUNT, "description": "How many events of any type are stored after it"},
    attempts={**COUNT, "description": "Failed ones in a row for the next event"},
    failing_since=INSTANT_OR_NULL,
    last_error={"type": ["string", "null"]},
    next_attempt_at=INSTANT_OR_NULL,
    disabled_at=INSTANT_OR_NULL,
    last_delivered_at=INSTANT_OR_NULL,
    lost={**COUNT, "description": "Events that were deleted by age before they were sent"},
    dead_letters=COUNT,
)
_LETTER: Final = object_of(
    seq=COUNT,
    webhook_id={"type": "string"},
    type={"type": "string"},
    at=INSTANT,
    payload={"type": "object"},
    attempts=COUNT,
    given_up_at=INSTANT,
    last_error={"type": "string"},
)
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "Webhook": _WEBHOOK,
    "Webhooks": object_of(endpoints={"type": "array", "items": _WEBHOOK}),
    "DeadLetters": object_of(
        dead_letters={"type": "array", "items": _LETTER},
        next_after={"type": ["integer", "null"], "description": "For the next page, if there is one"},
    ),
    "ReplayRequest": {
        **_REPLAY.schema,
        "anyOf": [
            {"required": ["from_seq"], "properties": {"from_seq": {"type": "integer"}}},
            {"required": ["dead_letters"], "properties": {"dead_letters": {"const": True}}},
        ],
    },
    "Replay": object_of(
        from_seq={"type": ["integer", "null"], "description": "The first event: asked for, or the oldest stored"},
        events={**COUNT, "description": "How many events of any type are looked at"},
        dead_letters={**COUNT, "description": "How many of them are sent"},
    ),
}
_EXAMPLES: Final[Mapping[str, Any]] = {"ReplayRequest": {"from_seq": 4711, "dead_letters": True}}


class WebhookRoutes:
    """The handlers. They raise RefusedError for a 4xx.

    What changes something is in the audit, refusals too; not a name that is none: it may be anything, a secret even.
    """

    def __init__(self, webhooks: Webhooks, audit: Audit, body_seconds: float) -> None:
        self._webhooks = webhooks
        self._audit = audit
        self._body_seconds = body_seconds

    async def list(self, _: web.Request) -> web.Response:
        """GET: all of them."""
        return success({"endpoints": await self._webhooks.endpoints()}, "Webhooks retrieved successfully")

    async def dead_letters(self, request: web.Request) -> web.Response:
        """GET …/dead-letters: a page, by number."""
        limit = _number(request, "limit", 1, _LARGEST_PAGE, _USUAL_PAGE)
        after = _number(request, "after", 0, _INT64, 0)
        letters = _known(await self._webhooks.dead_letters(_name(request), after, limit))
        following = letters[-1]["seq"] if len(letters) == limit else None
        return success({"dead_letters": letters, "next_after": following}, "Dead letters retrieved successfully")

    async def replay(self, request: web.Request) -> web.Response:
        """POST …/replay: from a number on, or the dead letters, or both."""
        who, name = operator(request), _name(request)
        given = await _REPLAY.read(request, self._body_seconds)
        from_seq, dead_letters = given.get("from_seq"), given.get("dead_letters", False)
        if from_seq is None and not dead_letters:
            raise RefusedError(MISSING_FIELDS.saying("Missing required fields: from_seq or dead_letters"))
        try:
            begun = await self._webhooks.replay(name, from_seq, dead_letters=dead_letters)
        except WebhookRefusedError as error:
            await self._note(who, "webhook_replay", REFUSED.code, webhook=name, **given)
            raise RefusedError(REFUSED.saying(f"{REFUSED.text}: {error}")) from error
        replay = _known(begun)
        await self._note(who, "webhook_replay", DONE, webhook=name, **given)
        return success(replay, "Replay begins")

    async def enable(self, request: web.Request) -> web.Response:
        """POST …/enable: whatever the body says."""
        who, name = operator(request), _name(request)
        enabled = _known(await self._webhooks.enable(name))
        await self._note(who, "webhook_enable", DONE, webhook=name)
        return success(enabled, "Webhook enabled")

    async def _note(self, who: str, action: str, outcome: str, **detail: Any) -> None:
        await self._audit.note(Entry(who=who, action=action, outcome=outcome, detail=detail))


def webhook_routes(webhooks: Webhooks, audit: Audit, body_seconds: float) -> RouteGroup:
    """The part of the API that is about webhooks."""
    routes = WebhookRoutes(webhooks, audit, body_seconds)
    return RouteGroup(
        (
            (LIST, routes.list),
            (DEAD_LETTERS, routes.dead_letters),
            (REPLAY, routes.replay),
            (ENABLE, routes.enable),
        ),
        _SCHEMAS,
        _EXAMPLES,
    )


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _known(answer: _Answer | None) -> _Answer:
    if answer is None:
        raise RefusedError(UNKNOWN)
    return answer


def _number(request: web.Request, name: str, low: int, high: int, usual: int) -> int:
    text = request.query.get(name)
    if text is None:
        return usual
    if _NUMBER.fullmatch(text) is None or not low <= int(text) <= high:
        raise RefusedError(INVALID_PARAMETER.saying(f"Parameter '{name}' must be a whole number from {low} to {high}"))
    return int(text)

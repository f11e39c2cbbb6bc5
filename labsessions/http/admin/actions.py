"""What operators do with one user's session. Each action is one message, and in the audit with its outcome."""

from typing import Any, Final

import structlog
from aiohttp import web

from labsessions import log_lines
from labsessions.core.audit import entry_of
from labsessions.core.messages import (
    Affected,
    Current,
    EndNow,
    ExtendBy,
    Extended,
    ExtendUntil,
    Forget,
    Operated,
    Refusal,
    RetryNow,
)
from labsessions.core.model import Session
from labsessions.core.projection import public
from labsessions.http.admin.operator import REASON, Body, operator
from labsessions.http.checks import FILLED
from labsessions.http.conditions import tagged
from labsessions.http.errors import OF_REFUSAL, RefusedError
from labsessions.http.extension import CHECKS, extension, granted
from labsessions.http.replies import Kind, expected
from labsessions.http.scopes import user_in_path
from labsessions.http.wire import success
from labsessions.log_lines import bound_logger
from labsessions.ports import Sessions

EXTENSION: Final = Body({**CHECKS, "reason": REASON})
WITH_REASON: Final = Body({"reason": REASON})
FORGET: Final = Body({"reason": REASON, "session_id": FILLED}, required=("reason",))

_Action = EndNow | RetryNow | Forget | ExtendBy | ExtendUntil


class ActionRoutes:
    """Handlers below `/api/v1/admin/sessions/{user_id}`: RefusedError for a 4xx, EngineError for a 500."""

    def __init__(self, sessions: Sessions, body_seconds: float) -> None:
        self._sessions = sessions
        self._body_seconds = body_seconds
        self._log: structlog.stdlib.BoundLogger = bound_logger()

    async def extend(self, request: web.Request) -> web.Response:
        """POST …/extend: as the user's own route, with the same limit."""
        body = await EXTENSION.read(request, self._body_seconds)
        reason = body.pop("reason", None)
        reply = await self._do(request, extension(body), reason, Extended)
        data = self._seen(reply.session)
        data["extension"] = granted(reply, self._sessions.policy)
        return tagged(success(data, "Lab session extended successfully"), reply.session)

    async def end(self, request: web.Request) -> web.Response:
        """POST …/end: the deadline is now; 409 if the session is being cleaned already."""
        body = await WITH_REASON.read(request, self._body_seconds)
        reply = await self._do(request, EndNow(), body.get("reason"), Current)
        return tagged(success(self._seen(reply.session), "Lab session ends now"), reply.session)

    async def retry(self, request: web.Request) -> web.Response:
        """POST …/retry: the next attempt is due now; 409 if none waits, or one runs."""
        body = await WITH_REASON.read(request, self._body_seconds)
        reply = await self._do(request, RetryNow(), body.get("reason"), Affected)
        return success(_concerned(request, reply), "Next cleanup attempt is due now")

    async def forget(self, request: web.Request) -> web.Response:
        """POST …/forget: session and obligations are gone; the answer names the VMs that nobody has confirmed."""
        body = await FORGET.read(request, self._body_seconds)
        reply = await self._do(request, Forget(body.get("session_id")), body["reason"], Affected)
        return success(_concerned(request, reply), "Lab session forgotten, its VMs may still run")

    async def _do(self, request: web.Request, action: _Action, reason: str | None, kind: type[Kind]) -> Kind:
        message = Operated(operator(request), reason, action)
        user_id = user_in_path(request)
        if user_id is None:
            raise RefusedError(OF_REFUSAL[Refusal.NOT_FOUND])
        reply = await self._sessions.ask(user_id, message)
        # The engine has written the same into the audit.
        done = entry_of(user_id, message, reply)
        fields = {"user": user_id, "who": done.who, "action": done.action, "reason": reason, "outcome": done.outcome}
        self._log.info(log_lines.OPERATED, **fields)
        return expected(reply, kind, message, user_id)

    def _seen(self, session: Session) -> dict[str, Any]:
        return public(session, self._sessions.now_ms(), self._sessions.policy)


def _concerned(request: web.Request, reply: Affected) -> dict[str, Any]:
    return {
        "user_id": user_in_path(request),
        "session_ids": [part.lab.id for part in reply.parts],
        "vms": [vm for part in reply.parts for vm in part.pending],
    }

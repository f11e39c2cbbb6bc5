"""The routes of a lab session: words to the engine, replies into answers. Nothing is decided here."""

import uuid

import structlog
from aiohttp import web

from labsessions import log_lines
from labsessions.core.messages import Create, Current, Delete, Extended, Message, Refusal, Show, Update
from labsessions.core.model import Session
from labsessions.core.projection import public
from labsessions.http.conditions import named_tags, tagged
from labsessions.http.errors import EMPTY_BODY, RefusedError
from labsessions.http.extension import extension, granted
from labsessions.http.fields import SessionFields
from labsessions.http.idempotency import keyed, marked
from labsessions.http.replies import Kind, expected
from labsessions.http.scopes import require_own, user_in_path
from labsessions.http.wire import parse_object, read_body, success
from labsessions.log_lines import bound_logger
from labsessions.ports import Sessions


class SessionRoutes:
    """Handlers of `/api/v1/labs/sessions`. They raise RefusedError for a 4xx and EngineError for a 500."""

    def __init__(self, sessions: Sessions, fields: SessionFields, body_seconds: float) -> None:
        self._sessions = sessions
        self._fields = fields
        self._body_seconds = body_seconds
        self._log: structlog.stdlib.BoundLogger = bound_logger()

    async def create(self, request: web.Request) -> web.Response:
        """POST: start the user's session; 409 if there is one."""
        raw = await read_body(request, self._body_seconds)
        lab = self._fields.lab(parse_object(raw), new_id=str(uuid.uuid4()))
        require_own(request, lab.user_id)
        asked = keyed(request, raw, Create(generation=str(uuid.uuid4()), lab=lab))
        reply = await self._reply(lab.user_id, asked, Current)
        self._log.info(log_lines.REPEATED if reply.replayed else log_lines.CREATED, **_names(reply.session))
        answer = success(self._seen(reply), "Lab session created successfully", status=201)
        return marked(tagged(answer, reply.session), replayed=reply.replayed)

    async def show(self, request: web.Request) -> web.Response:
        """GET: the user's session; 404 if there is none."""
        session = await self._ask(user_in_path(request), Show())
        return tagged(success(self._seen_now(session), "Lab session retrieved successfully"), session)

    async def update(self, request: web.Request) -> web.Response:
        """PUT: change members; what is wrong with the body is said before what is wrong with the session."""
        changes = self._fields.changes(parse_object(await self._raw_body(request)))
        session = await self._ask(user_in_path(request), Update(changes, named_tags(request)))
        self._log.info(log_lines.UPDATED, **_names(session))
        return tagged(success(self._seen_now(session), "Lab session updated successfully"), session)

    async def extend(self, request: web.Request) -> web.Response:
        """POST …/extend: move the deadline as far as the limit allows; the answer says how far that was."""
        raw = await self._raw_body(request)
        asked = keyed(request, raw, extension(parse_object(raw), named_tags(request)))
        reply = await self._reply(user_in_path(request), asked, Extended)
        data = self._seen(reply)
        data["extension"] = moved = granted(reply, self._sessions.policy)
        line = log_lines.REPEATED if reply.replayed else log_lines.EXTENDED
        self._log.info(line, **_names(reply.session), granted_seconds=moved["granted_seconds"])
        answer = success(data, "Lab session extended successfully")
        return marked(tagged(answer, reply.session), replayed=reply.replayed)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE: end the session by hand, with its wake-up and any attempt in flight (CONTRACT §3.5)."""
        ended = await self._reply(user_in_path(request), Delete(named_tags(request)), Current)
        session = ended.session
        if not ended.owed:  # else its cleanup is still to come, of which the engine has its own line
            self._log.info(log_lines.CANCELLED, **_names(session))
        self._log.info(log_lines.DELETED, **_names(session))
        data = {"user_id": session.lab.user_id, "deleted": True}
        return success(data, "Lab session deleted successfully")

    async def _raw_body(self, request: web.Request) -> bytes:
        """The text that says what to change; RefusedError 400 if there is none."""
        raw = await read_body(request, self._body_seconds)
        if not raw:
            raise RefusedError(EMPTY_BODY)
        return raw

    async def _ask(self, user_id: str | None, message: Message) -> Session:
        """The session that the reply shows; errors as `_reply` has them."""
        return (await self._reply(user_id, message, Current)).session

    async def _reply(self, user_id: str | None, message: Message, kind: type[Kind]) -> Kind:
        """See `expected`."""
        # Asked here and not there: one coroutine less for each request.
        reply = Refusal.NOT_FOUND if user_id is None else await self._sessions.ask(user_id, message)
        return expected(reply, kind, message, user_id)

    def _seen(self, reply: Current | Extended) -> dict[str, object]:
        """As of now; the answer to a request with a key is as of when it was first given, so that it stays the same."""
        at_ms = self._sessions.now_ms() if reply.at_ms is None else reply.at_ms
        return public(reply.session, at_ms, self._sessions.policy)

    def _seen_now(self, session: Session) -> dict[str, object]:
        return public(session, self._sessions.now_ms(), self._sessions.policy)


def _names(session: Session) -> dict[str, str]:
    return {"user": session.lab.user_id, "lab": session.lab.lab_request_id}

"""The admin API over a made-up world, behind the real front door: what the dashboard is tested against."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp_sse import sse_response
from fake_answers import answers_of, blind_overview
from fake_world import MINUTE, World

from labsessions.core.projection import iso
from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.errors import Problem, RefusedError
from labsessions.http.groups import RouteGroup
from labsessions.http.scopes import Scope
from labsessions.http.wire import success

ADMIN = "/api/v1/admin"


class FakeAdmin:
    """Handlers over `world`; what is posted is kept in `posted`. While `refusal` is set, every POST is refused so.

    With `silent`, streams are closed and refused. `blind`: the overview of a service that cannot read its store.
    """

    def __init__(self, world: World, *, blind: bool = False) -> None:
        self.world = world
        self._answers = answers_of(world)
        if blind:
            self._answers["/overview"] = lambda _: blind_overview(world)
        self.posted: list[tuple[str, dict[str, Any], str]] = []
        self.asked: list[str] = []
        self.refusal: Problem | None = None
        self.silent = False
        self.beat_seconds = 0.5
        self.resumed_at: list[str] = []

    def group(self) -> RouteGroup:
        """As `make_app` takes it."""
        reading = {path: self._reader(answer) for path, answer in self._answers.items()}
        reading["/stream"] = self._stream
        acting = {
            "/sessions/{user_id}/extend": self._extend,
            "/sessions/{user_id}/end": self._end,
            "/sessions/{user_id}/retry": self._retry,
            "/sessions/{user_id}/forget": self._forget,
            "/retry": self._retry_all,
            "/pause": self._pause,
            "/resume": self._resume,
        }
        return RouteGroup(
            (
                *((_endpoint("GET", path), handler) for path, handler in reading.items()),
                *((_endpoint("POST", path), self._actor(act)) for path, act in acting.items()),
            ),
            schemas={"Made": {"type": "object"}},
        )

    def _reader(self, answer: Callable[[web.Request], Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def read(request: web.Request) -> web.StreamResponse:
            self.asked.append(request.path_qs)
            return success(answer(request), "Read")

        return read

    def _actor(
        self, act: Callable[[str, dict[str, Any]], Any]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def do(request: web.Request) -> web.StreamResponse:
            body = json.loads(await request.read())
            who = request.headers.get("X-Operator", "operator")
            user_id = request.match_info.get("user_id", "")
            self.posted.append((request.path, body, who))
            if self.refusal is not None:
                raise RefusedError(self.refusal)
            data = act(user_id, body)
            self._note(request.path, user_id, body, who)
            return success(data, "Done")

        return do

    def _note(self, path: str, user_id: str, body: dict[str, Any], who: str) -> None:
        entry = {"at": iso(self.world.now_ms()), "who": who, "action": path.rpartition("/")[2], "outcome": "done"}
        reason = body.get("reason")
        seq = len(self.world.audit) + 1
        self.world.audit.insert(0, entry | {"seq": seq, "user_id": user_id or None, "reason": reason, "detail": {}})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.silent:
            raise RefusedError(Problem(503, "unavailable", "No stream"))
        seen = request.headers.get("Last-Event-ID")
        self.resumed_at.append(seen or "")
        seq = int(seen) if seen else len(self.world.events)
        overview = self._answers["/overview"]
        async with sse_response(request) as response:
            await response.write(f"id: {seq}\r\n\r\n".encode())
            while not self._is_silent():
                for event in self.world.events[seq:]:
                    seq = event["seq"]
                    await response.send(json.dumps(event), id=str(seq), event=event["type"])
                await response.send(json.dumps(overview(request)), event="overview")
                await asyncio.sleep(self.beat_seconds)
        return response

    def _is_silent(self) -> bool:
        return self.silent

    def _extend(self, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
        session = self.world.sessions[user_id]
        session["expires_ms"] += round(body["minutes"] * MINUTE)
        self.world.happen("session.updated", user_id, expires_at=iso(session["expires_ms"]))
        granted = {"granted_seconds": body["minutes"] * 60, "partial": False, "left_seconds": 3600}
        return {"expires_at": iso(session["expires_ms"]), "extension": granted}

    def _end(self, user_id: str, _: dict[str, Any]) -> dict[str, Any]:
        self.world.sessions[user_id]["expires_ms"] = self.world.now_ms()
        self.world.sessions[user_id]["status"] = "cleaning"
        self.world.happen("session.cleaning", user_id, attempts=1)
        return {}

    def _retry(self, user_id: str, _: dict[str, Any]) -> dict[str, Any]:
        if user_id in self.world.sessions:
            self.world.sessions[user_id]["next_attempt_ms"] = self.world.now_ms()
            self.world.happen("session.cleaning", user_id, attempts=self.world.sessions[user_id]["attempts"])
        return {}

    def _forget(self, user_id: str, _: dict[str, Any]) -> dict[str, Any]:
        session = self.world.sessions[user_id]
        self.world.end(user_id, "forgotten")
        workers = [node["worker_lab_request_id"] for node in session.get("worker_nodes", [])]
        return {"user_id": user_id, "session_ids": [session["id"]], "vms": [session["lab_request_id"], *workers]}

    def _retry_all(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        matched = [
            each
            for each in self.world.sessions.values()
            if each["status"] in (("cleaning", "stuck") if "status" not in body else (body["status"],))
            and body.get("error", "") in (each["last_error"] or "")
        ]
        if body.get("expected") not in (None, len(matched)):
            raise RefusedError(
                Problem(409, "count_changed", f"{len(matched)} users match by now, not {body['expected']}")
            )
        if not body["dry_run"]:
            for each in matched:
                each["next_attempt_ms"] = self.world.now_ms()
        retried = 0 if body["dry_run"] else len(matched)
        return {"matched": len(matched), "retried": retried, "running": 0, "failed": 0, "dry_run": body["dry_run"]}

    def _pause(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        now = self.world.now_ms()
        until = iso(now + round(body["minutes"] * MINUTE))
        self.world.paused = {"since": iso(now), "until": until, "reason": body["reason"], "by": self.posted[-1][2]}
        return {"paused": self.world.paused}

    def _resume(self, *_: Any) -> dict[str, Any]:
        self.world.paused = None
        return {"paused": None}


def _endpoint(method: str, path: str) -> Endpoint:
    return Endpoint(method, ADMIN + path, f"Made up: {path}", Scope.ADMIN, answers=(Answer(200, "Made up", "Made"),))

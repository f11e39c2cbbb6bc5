"""What the admin API would answer of a made-up world: shapes as the real one's, filters and paging included."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from fake_world import MINUTE, World

from labsessions.core.projection import iso

BUCKET_SECONDS = 300


def answers_of(world: World) -> dict[str, Callable[[web.Request], Any]]:
    """By path below `/api/v1/admin`, what is in the envelope of the answer."""
    return {
        "/overview": lambda _: overview(world),
        "/expiries": lambda request: expiries(world, int(request.query.get("hours", "4"))),
        "/sessions": lambda request: sessions(world, request.query),
        "/sessions/{user_id}": lambda request: detail(world, request.match_info["user_id"]),
        "/sessions/{user_id}/events": lambda request: events(world, request.match_info["user_id"], request.query),
        "/history": lambda request: page(world.ended, "ended", request.query),
        "/analytics": lambda request: {"rows": world.days if request.query["by"] == "day" else world.labs},
        "/failures": lambda _: failures(world),
        "/audit": lambda request: page(world.audit, "entries", request.query),
    }


def overview(world: World) -> dict[str, Any]:
    """As `/overview`."""
    now = world.now_ms()
    sessions = world.sessions.values()
    statuses = Counter(each["status"] for each in sessions)
    overdue = [each["expires_ms"] for each in world.overdue()]
    oldest = (now - min(overdue)) / 1000 if overdue else None
    problems = [f"sessions stuck in cleanup: {statuses['stuck']}; see last_error"] if statuses["stuck"] else []
    down = world.backend == "down"
    if down:
        problems.append("the lab backend has been down for 362 s: cleanups wait, probes go on")
    ok = not (overdue or down)
    text = "every session on time" if ok else f"{len(overdue)} overdue, oldest {_in_words(oldest or 0)}"
    if down:
        text += " – the lab backend does not answer"
    return {
        "server_time": iso(now),
        "version": "1.2.3",
        "started_at": iso(world.started_ms),
        "verdict": {"ok": ok, "text": text, "since": None if ok else iso(min([*overdue, now - 6 * MINUTE]))},
        "problems": problems,
        "counts": {
            "active": statuses["active"],
            "ending_soon": sum(0 <= each["expires_ms"] - now <= 15 * MINUTE for each in sessions),
            "cleaning": statuses["cleaning"],
            "overdue": len(overdue),
            "stuck": statuses["stuck"],
            "owed": len(world.owed),
            "owed_stuck": 0,
        },
        "oldest_overdue_seconds": oldest,
        "scheduler": {"heartbeat_age_seconds": 0.412, "paused": world.paused, "clock_problem": world.clock_problem},
        "backend": {
            "state": world.backend,
            "since": iso(world.started_ms - 6 * MINUTE),
            "last_error": "503 Service Unavailable" if down else None,
        },
        "last_backup": {"at": iso(now - 200 * MINUTE), "age_seconds": 200 * 60} if world.sessions else None,
        "resident_actors": min(len(world.sessions), 10_000),
        "effects_running": min(statuses["cleaning"], 12),
        "test_clock": world.test_clock,
    }


def _in_words(seconds: float) -> str:
    hours, minutes = divmod(round(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {round(seconds) % 60} s"


def blind_overview(world: World) -> dict[str, Any]:
    """As `/overview` where the store cannot be read and the scheduler has ended."""
    scheduler = {"heartbeat_age_seconds": None, "paused": None, "clock_problem": None}
    verdict = {"ok": False, "text": "the store is in trouble: disk I/O error", "since": None}
    unknown = {"counts": None, "oldest_overdue_seconds": None, "scheduler": scheduler, "verdict": verdict}
    return overview(world) | unknown


def expiries(world: World, hours: int) -> dict[str, Any]:
    """As `/expiries`."""
    now = world.now_ms()
    buckets = [0] * (hours * 3600 // BUCKET_SECONDS)
    for each in world.sessions.values():
        index = (each["expires_ms"] - now) // (BUCKET_SECONDS * 1000)
        if 0 <= index < len(buckets):
            buckets[index] += 1
    overdue = sum(1 for _ in world.overdue())
    rate = {"drain_per_second": world.drain_per_second, "limit_per_second": 20}
    return {"start": iso(now), "bucket_seconds": BUCKET_SECONDS, "buckets": buckets, "overdue": overdue, **rate}


def item(world: World, session: Mapping[str, Any]) -> dict[str, Any]:
    """A session as lists show it."""
    now = world.now_ms()
    shown = {name: value for name, value in session.items() if not name.endswith("_ms")}
    next_ms = session["next_attempt_ms"]
    return shown | {
        "created_at": iso(session["created_ms"]),
        "expires_at": iso(session["expires_ms"]),
        "next_attempt_at": None if next_ms is None else iso(next_ms),
        "remaining_seconds": (session["expires_ms"] - now) / 1000,
        "overdue": session["expires_ms"] < now,
    }


def sessions(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """As `/sessions`."""
    now = world.now_ms()
    order = "user_id" if query.get("order") == "user_id" else "expires_ms"
    within = float(query.get("ending_within", "inf")) * MINUTE
    found = [
        each
        for each in world.sessions.values()
        if query.get("status", each["status"]) == each["status"]
        and (query.get("overdue") != "true" or each["expires_ms"] < now)
        and ("ending_within" not in query or 0 <= each["expires_ms"] - now <= within)
        and query.get("lab_id", each["labId"]) == each["labId"]
        and query.get("group_id", each["labGroupID"]) == each["labGroupID"]
        and (each["user_id"].startswith(query.get("q", "")) or query["q"] in (each["id"], each["lab_request_id"]))
        and query.get("error", "") in (each["last_error"] or "")
    ]
    found.sort(key=lambda each: (each[order], each["user_id"]))
    limit, start = int(query.get("limit", "100")), int(query.get("cursor", "0"))
    shown = [item(world, each) for each in found[start : start + limit]]
    following = str(start + limit) if start + limit < len(found) else None
    return {"sessions": shown, "next_cursor": following, "total": len(found)}


def detail(world: World, user_id: str) -> dict[str, Any]:
    """As `/sessions/{user_id}`."""
    session = world.sessions.get(user_id)
    more = {
        "moduleID": "module-3",
        "terminal_url": "https://terminal.example.test/1",
        "vm": {"name": "m1", "network_id": "net-7", "netbird_ip": "100.64.0.8"},
        "validation": 0,
    }
    owed = [
        {
            **each,
            "since": iso(each["ms"]),
            "last_error": "no answer within 15 s",
            "next_attempt_at": iso(world.now_ms()),
        }
        for each in world.owed.get(user_id, [])
    ]
    return {
        "session": None if session is None else more | item(world, session),
        "owed": owed,
        "events": events(world, user_id, {})["events"],
        "last_ended": next((each for each in world.ended if each["user_id"] == user_id), None),
    }


def events(world: World, user_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """As `/sessions/{user_id}/events`."""
    before, limit = int(query.get("before", "1000000000")), int(query.get("limit", "50"))
    found = [each for each in reversed(world.events) if each["user_id"] == user_id and each["seq"] < before]
    return {"events": found[:limit], "next_before": found[limit - 1]["seq"] if len(found) > limit else None}


def page(items: list[dict[str, Any]], name: str, query: Mapping[str, str]) -> dict[str, Any]:
    """A page of a list, with the cursor of the next one."""
    start, limit = int(query.get("cursor", "0")), int(query.get("limit", "100"))
    following = str(start + limit) if start + limit < len(items) else None
    return {name: items[start : start + limit], "next_cursor": following}


def failures(world: World) -> dict[str, Any]:
    """As `/failures`."""
    groups = defaultdict(list)
    for each in world.sessions.values():
        if each["last_error"]:
            groups[each["last_error"]].append(each)
    rows = [
        {
            "error": error,
            "count": len(members),
            "oldest_since": iso(min(each["expires_ms"] for each in members)),
            "example_user_id": members[0]["user_id"],
        }
        for error, members in groups.items()
    ]
    return {"groups": sorted(rows, key=lambda row: -row["count"])}

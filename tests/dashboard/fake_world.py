"""A lab platform's day, made up by a seed: sessions, what went wrong, what ended.

It knows nothing of HTTP. Shapes are those of the admin API.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from labsessions.core.projection import iso

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

LABS = [
    ("k8s-101", "Kubernetes: Pods – first steps"),
    ("k8s-201", "Kubernetes: Networking and Ingress"),
    ("linux-110", "Linux: Permissions and processes"),
    ("git-100", "Git from scratch"),
    ("tf-120", "Terraform: State and modules"),
    ("net-210", "Routing with FRR"),
    ("sec-330", "Forensics: a compromised host"),
    ("db-140", "PostgreSQL: Query plans"),
    ("ml-220", "Serving models on GPUs"),
    ("py-105", "Python: Testing"),
]
ERRORS = [
    "VM vm-{n}: 503 Service Unavailable from POST /api/v1/labs/delete",
    "VM vm-{n}: no answer within 15 s",
    "VM vm-{n}: 500 Internal Server Error: volume is still attached",
]


@dataclass
class World:
    """What the service would know. `sessions` by user; instants are milliseconds since 1970."""

    started_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    owed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ended: list[dict[str, Any]] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    labs: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    paused: dict[str, Any] | None = None
    backend: str = "up"
    clock_problem: str | None = None
    test_clock: bool = False
    drain_per_second: float = 12.5
    ahead_ms: int = 0

    def now_ms(self) -> int:
        """The clock of this service: the machine's, and how far it is ahead of it."""
        return int(time.time() * 1000) + self.ahead_ms

    def add(self, user_id: str, minutes_left: float, **changes: Any) -> dict[str, Any]:
        """A session that ends in so many minutes."""
        now, number = self.now_ms(), len(self.sessions)
        lab_id, title = LABS[number % len(LABS)]
        expires = now + round(minutes_left * MINUTE)
        session = {
            "user_id": user_id,
            "id": f"5f0c7d3e-0000-4000-8000-{number:012}",
            "labId": lab_id,
            "labTitle": title,
            "labGroupID": f"group-{number % 7}",
            "lab_request_id": f"vm-{4000 + number}",
            "status": "active",
            "created_ms": expires - HOUR,
            "expires_ms": expires,
            "attempts": 0,
            "last_error": None,
            "next_attempt_ms": None,
            "duration": 60,
            "time_factor": 1,
        } | changes
        self.sessions[user_id] = session
        return session

    def fail(self, user_id: str, attempts: int, error: str, *, stuck: bool = False, retry_in: float = 3) -> None:
        """The session's cleanup has failed so often, and waits."""
        session = self.sessions[user_id]
        session |= {"status": "stuck" if stuck else "cleaning", "attempts": attempts, "last_error": error}
        session["next_attempt_ms"] = self.now_ms() + round(retry_in * MINUTE)

    def happen(self, kind: str, user_id: str, **data: Any) -> dict[str, Any]:
        """An event, the newest."""
        session = self.sessions.get(user_id, {})
        event = {
            "seq": len(self.events) + 1,
            "at": iso(self.now_ms()),
            "type": kind,
            "session_id": session.get("id", ""),
            "user_id": user_id,
            "data": data,
        }
        self.events.append(event)
        return event

    def end(self, user_id: str, reason: str) -> None:
        """The session is gone."""
        session = self.sessions.pop(user_id)
        late = (self.now_ms() - session["expires_ms"]) / 1000 if reason == "expired" else None
        row = {name: session[name] for name in ("user_id", "id", "labId", "attempts", "last_error")}
        self.ended.insert(0, row | {"generation": session["id"], "reason": reason, "lateness_seconds": late})
        self.ended[0] |= {name: iso(session[f"{name[:-3]}_ms"]) for name in ("created_at", "expires_at")}
        self.ended[0]["ended_at"] = iso(self.now_ms())
        self.happen("session.ended", user_id, reason=reason, attempts=session["attempts"], lateness_seconds=late)

    def overdue(self) -> Iterator[dict[str, Any]]:
        """Those past their deadline."""
        now = self.now_ms()
        return (each for each in self.sessions.values() if each["expires_ms"] < now)


def world(size: int, seed: int = 1) -> World:
    """A day with so many sessions: from five on some of them are in trouble, and classes end at the full hours."""
    chance = random.Random(seed)  # noqa: S311 - data of tests
    made = World()
    if not size:
        return made
    now = made.now_ms()
    to_hour = (HOUR - now % HOUR) / MINUTE
    for number in range(size):
        left = to_hour + 60 * chance.randrange(4) + chance.gauss(0, 0.4) if number % 3 else chance.uniform(1, 300)
        made.add(f"{chance.choice(NAMES)}.{number:05}", max(left, 0.5))
    users = list(made.sessions)
    troubled = users[: max(2, size // 120)]
    for number, user_id in enumerate(troubled):
        made.sessions[user_id]["expires_ms"] = now - round(chance.uniform(0.2, 75) * MINUTE)
        error = chance.choices(ERRORS, (8, 3, 1))[0].format(n=4000 + number if size <= 100 else 4711)
        stuck = number % 9 == 1
        made.fail(user_id, 14 if stuck else chance.randrange(1, 6), error, stuck=stuck, retry_in=chance.uniform(0.2, 5))
    first = made.sessions[users[0]]
    first["worker_nodes"] = [
        {"name": f"w{each}", "worker_lab_request_id": f"vm-w{each}", "network_id": "net-7", "netbird_ip": "100.64.0.9"}
        for each in (1, 2)
    ]
    made.owed["old.user"] = [{"lab_request_id": "vm-17", "status": "cleaning", "attempts": 3, "ms": now - HOUR}]
    _past(made, chance, size)
    return made


def _past(made: World, chance: random.Random, size: int) -> None:
    now = made.now_ms()
    for user_id in list(made.sessions)[:3]:
        made.happen("session.created", user_id, expires_at=iso(made.sessions[user_id]["expires_ms"]))
        made.happen("session.expiring", user_id, remaining_seconds=300.0)
        for attempt in range(1, made.sessions[user_id]["attempts"] + 1):
            made.happen("session.cleaning", user_id, attempts=attempt)
            error = made.sessions[user_id]["last_error"]
            made.happen("session.cleanup_failed", user_id, attempts=attempt, last_error=error)
    for number in range(min(size * 3, 40)):
        gone = made.add(
            f"{chance.choice(NAMES)}.gone{number}", -chance.uniform(1, 90), attempts=chance.choice((1, 1, 1, 2))
        )
        made.end(gone["user_id"], chance.choices(("expired", "deleted", "ended_by_operator"), (7, 2, 1))[0])
    share = max(size, 20)
    for back in range(13, -1, -1):
        ended = round(share * chance.uniform(0.7, 1.3) * (0.25 if back % 7 in (2, 3) else 1))
        deleted, by_operator = round(ended * 0.16), round(ended * 0.02)
        bad = 40 if back == 5 else 1
        made.days.append(
            {
                "key": iso(now - back * DAY)[:10],
                "ended": ended,
                "by_reason": {
                    "expired": ended - deleted - by_operator,
                    "deleted": deleted,
                    "ended_by_operator": by_operator,
                },
                "attempts_mean": 1.02 * (2 if bad > 1 else 1),
                "attempts_max": 3 * bad,
                "late_p50_seconds": 0.021 * chance.uniform(0.8, 1.3) * bad**0.5,
                "late_p95_seconds": 0.3 * chance.uniform(0.5, 2) * bad,
                "late_max_seconds": 40 * chance.uniform(0.5, 3) * bad,
            }
        )
    for lab_id, _ in LABS:
        ended = round(share * chance.uniform(0.3, 2))
        mean = 1 + chance.random() ** 4
        row = {"key": lab_id, "ended": ended, "by_reason": {"expired": ended}, "attempts_mean": mean, "attempts_max": 9}
        made.labs.append(row | {"late_p50_seconds": 0.02, "late_p95_seconds": mean - 0.9, "late_max_seconds": 70.0})


NAMES = [
    "ada",
    "alan",
    "barbara",
    "claude",
    "donald",
    "edsger",
    "frances",
    "grace",
    "ivan",
    "john",
    "ken",
    "leslie",
    "margaret",
    "niklaus",
    "radia",
    "tim",
]

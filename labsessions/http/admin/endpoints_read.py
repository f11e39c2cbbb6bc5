"""What operators may look at: the routes below `/api/v1/admin` that change nothing."""

from typing import Final

from labsessions.http.admin import questions
from labsessions.http.admin.parameters import parameters
from labsessions.http.endpoints import Answer, Endpoint
from labsessions.http.errors import BUSY, INVALID_LAST_EVENT_ID, INVALID_PARAMETER, TOO_MANY_ADMIN_STREAMS
from labsessions.http.scopes import Scope

ADMIN: Final = "/api/v1/admin"
_ASKED: Final = (INVALID_PARAMETER, BUSY)

OVERVIEW: Final = Endpoint(
    "GET",
    f"{ADMIN}/overview",
    "Show how the service does: a verdict, counts, scheduler, backend",
    Scope.ADMIN,
    answers=(Answer(200, "Overview retrieved successfully", "AdminOverview"),),
    problems=(INVALID_PARAMETER,),
)
EXPIRIES: Final = Endpoint(
    "GET",
    f"{ADMIN}/expiries",
    "Count the sessions that will end in each of the next five minutes",
    Scope.ADMIN,
    answers=(Answer(200, "Expiries retrieved successfully", "AdminExpiries"),),
    problems=_ASKED,
    query=parameters(questions.EXPIRIES),
)
SESSIONS: Final = Endpoint(
    "GET",
    f"{ADMIN}/sessions",
    "List sessions, page by page",
    Scope.ADMIN,
    answers=(Answer(200, "Lab sessions retrieved successfully", "AdminSessions"),),
    problems=_ASKED,
    query=parameters(questions.SESSIONS),
)
USER: Final = Endpoint(
    "GET",
    f"{ADMIN}/sessions/{{user_id}}",
    "Show all that is known of one user",
    Scope.ADMIN,
    answers=(Answer(200, "User retrieved successfully", "AdminUser"),),
    problems=_ASKED,
)
EVENTS: Final = Endpoint(
    "GET",
    f"{ADMIN}/sessions/{{user_id}}/events",
    "List what has happened to one user's sessions, the newest first",
    Scope.ADMIN,
    answers=(Answer(200, "Events retrieved successfully", "AdminEvents"),),
    problems=_ASKED,
    query=parameters(questions.EVENTS),
)
HISTORY: Final = Endpoint(
    "GET",
    f"{ADMIN}/history",
    "List sessions that have ended, the latest first",
    Scope.ADMIN,
    answers=(Answer(200, "History retrieved successfully", "AdminHistory"),),
    problems=_ASKED,
    query=parameters(questions.HISTORY),
)
ANALYTICS: Final = Endpoint(
    "GET",
    f"{ADMIN}/analytics",
    "Summarize how sessions have ended, by day or by lab",
    Scope.ADMIN,
    answers=(Answer(200, "Analytics retrieved successfully", "AdminAnalytics"),),
    problems=_ASKED,
    query=parameters(questions.ANALYTICS),
)
FAILURES: Final = Endpoint(
    "GET",
    f"{ADMIN}/failures",
    "Group the sessions in trouble by what went wrong last",
    Scope.ADMIN,
    answers=(Answer(200, "Failures retrieved successfully", "AdminFailures"),),
    problems=_ASKED,
)
STREAM: Final = Endpoint(
    "GET",
    f"{ADMIN}/stream",
    "Follow what happens to all sessions, and the overview (Server-Sent Events)",
    Scope.ADMIN,
    answers=(Answer(200, "The stream of events", "Events", enveloped=False),),
    problems=(INVALID_LAST_EVENT_ID, TOO_MANY_ADMIN_STREAMS),
    resumable=True,
)

"""What operators may ask for in the query string, route by route."""

from typing import Any, Final, cast, get_args

from labsessions.core.model import Status
from labsessions.core.record import END_REASONS
from labsessions.http.admin.parameters import Taken, choice, cursor, flag, instant, integer, number, text, user
from labsessions.ports import Ended, Which

DAY_MINUTES: Final = 24 * 60
MAX_HOURS: Final = 24
MAX_LIMIT: Final = 500
MAX_SEQ: Final = 10**18 - 1

LIMIT: Final = integer("limit", 1, MAX_LIMIT, "How many at most", 100)
SESSIONS: Final[tuple[Taken, ...]] = (
    choice("status", get_args(Status), "Only those in this state"),
    flag("overdue", "Only those whose deadline has passed, or only those whose has not"),
    number("ending_within", 366 * DAY_MINUTES, "Only those whose deadline comes within so many minutes"),
    text("lab_id", "Only those of this lab (`labId`)"),
    text("group_id", "Only those of this group (`labGroupID`)"),
    text("q", "Only those whose `user_id` begins so, or whose `id` or `lab_request_id` is this"),
    text("error", "Only those with this in their `last_error`"),
    choice(
        "order", ("expires_at", "user_id"), "What comes first: the earliest deadline, or the first id", "expires_at"
    ),
    LIMIT,
    cursor(),
)
EXPIRIES: Final = (number("hours", MAX_HOURS, "How far to look ahead", 4),)
EVENTS: Final = (
    integer("before", 1, MAX_SEQ, "Only events with a smaller `seq`: `next_before` of the page before"),
    LIMIT,
)
HISTORY: Final = (
    user("user_id", "Only those of this user"),
    choice("reason", END_REASONS, "Only those that ended so"),
    text("lab_id", "Only those of this lab (`labId`)"),
    instant("since", "Only those that ended then or later"),
    instant("until", "Only those that ended before"),
    LIMIT,
    cursor(),
)
ANALYTICS: Final = (
    instant("since", "What ended then or later; a week before `until` if left out"),
    instant("until", "What ended before; now if left out"),
    choice("by", ("day", "lab"), "What a row is about; a day is one of UTC", "day"),
)


def which(asked: dict[str, Any]) -> Which:
    """The sessions that these values of `SESSIONS` are about."""
    return Which(
        status=cast("Status | None", asked["status"]),
        overdue=asked["overdue"],
        ending_within_minutes=asked["ending_within"],
        lab_id=asked["lab_id"],
        group_id=asked["group_id"],
        text=asked["q"],
        error=asked["error"],
    )


def ended(asked: dict[str, Any]) -> Ended:
    """The ended sessions that these values of `HISTORY` are about."""
    return Ended(asked["user_id"], asked["reason"], asked["lab_id"], asked["since"], asked["until"])

"""What a client's memory makes of answers: the true ones fit some world, each untrue one is told."""

import pytest
from crash_memory import Exchange, Kind, Memory, Shown

LAB = "user-0"
MINUTE = 60_000


def shown(*, created: int = 10, minutes: float = 1, workers: tuple[str, ...] = (), cleaning: bool = False) -> Shown:
    """The lab in an answer."""
    return Shown(LAB, minutes, workers, created, created + round(minutes * MINUTE), cleaning)


def asked(kind: Kind, at: int, status: int | None, seen: Shown | None = None, minutes: float | None = None) -> Exchange:
    """A request that took 10 ms."""
    return Exchange(kind, at, at + 10, status, LAB, minutes, shown=seen)


CREATED = asked("create", 5, 201, shown(), minutes=1)
LOST_CREATE = asked("create", 5, None, minutes=1)
LOST_PUT = asked("put", 100, None, minutes=2)
LOST_DELETE = asked("delete", 100, None)

TRUE: dict[str, list[Exchange]] = {
    "it is there until it ends": [CREATED, asked("get", 100, 200, shown())],
    "a second one is refused": [CREATED, asked("create", 100, 409, minutes=1)],
    "a change is shown": [CREATED, asked("put", 100, 200, shown(minutes=2), minutes=2)],
    "a lost create happened": [LOST_CREATE, asked("get", 100, 200, shown())],
    "a lost create didn't happen": [LOST_CREATE, asked("get", 100, 404)],
    "a lost change happened": [CREATED, LOST_PUT, asked("get", 200, 200, shown(minutes=2))],
    "a lost change didn't happen": [CREATED, LOST_PUT, asked("get", 200, 200, shown())],
    "a lost change is asked again": [CREATED, LOST_PUT, asked("put", 200, 200, shown(minutes=2), minutes=2)],
    "a lost delete happened": [CREATED, LOST_DELETE, asked("delete", 200, 404)],
    "a lost delete didn't happen": [CREATED, LOST_DELETE, asked("delete", 200, 200)],
    "it is being cleaned up": [CREATED, asked("get", MINUTE, 200, shown(cleaning=True))],
    "it ends just then": [CREATED, asked("get", MINUTE, 404)],
    "it is cleaned up and refuses a change": [CREATED, asked("put", MINUTE, 409, minutes=2)],
    "the first wake-up is late": [CREATED, asked("put", 2 * MINUTE, 200, shown(minutes=2), minutes=2)],
}

UNTRUE: dict[str, list[Exchange]] = {
    "it is lost": [CREATED, asked("get", 100, 404)],
    "it is gone a millisecond early": [CREATED, asked("get", MINUTE - 1, 404)],
    "it is cleaned up a millisecond early": [CREATED, asked("get", MINUTE - 1, 200, shown(cleaning=True))],
    "a change is refused a millisecond early": [CREATED, asked("put", MINUTE - 1, 409, minutes=2)],
    "a change is lost": [CREATED, asked("put", 100, 200, shown(minutes=2), minutes=2), asked("get", 200, 200, shown())],
    "a change that was told as gone comes back": [
        *TRUE["a lost change didn't happen"],
        asked("get", 300, 200, shown(minutes=2)),
    ],
    "a second one is accepted": [CREATED, asked("create", 100, 201, shown(created=101), minutes=1)],
    "it was deleted and is back": [CREATED, asked("delete", 100, 200), asked("get", 200, 200, shown())],
    "it was refused as gone and is there": [*TRUE["a lost delete happened"], asked("get", 300, 200, shown())],
    "it was never there": [asked("get", 100, 200, shown())],
    "a delete is acknowledged twice": [CREATED, asked("delete", 100, 200), asked("delete", 200, 200)],
    "it starts over": [CREATED, asked("get", 100, 200, shown(created=11))],
    "it was created before it was asked for": [asked("create", 11, 201, shown(), minutes=1)],
    "its deadline is not its duration": [asked("create", 5, 201, Shown(LAB, 1, (), 10, 10 + MINUTE - 1), minutes=1)],
    "a worker is lost": [CREATED, asked("get", 100, 200, shown(workers=("w",)))],
    "its cleanup is taken back": [
        *TRUE["it is being cleaned up"],
        asked("get", MINUTE + 100, 200, shown()),
    ],
    "a fault of the service": [CREATED, asked("get", 100, 500)],
}


def remembered(exchanges: list[Exchange]) -> Memory:
    """A memory of these."""
    memory = Memory("user")
    for exchange in exchanges:
        memory.remember(exchange)
    return memory


# An answer's instants are those of the service: a minute from 10 is over at 60,010, and an exchange takes 10 ms.
@pytest.mark.parametrize("exchanges", TRUE.values(), ids=TRUE)
def test_what_may_be_is_believed(exchanges: list[Exchange]) -> None:
    """Every world that lost answers leave open is one that the next answer may confirm."""
    assert remembered(exchanges).untrue == []


@pytest.mark.parametrize("exchanges", UNTRUE.values(), ids=UNTRUE)
def test_what_cannot_be_is_told_once(exchanges: list[Exchange]) -> None:
    """The last answer fits no world, and is the only one."""
    assert remembered(exchanges).untrue == [exchanges[-1]]


def test_a_lost_answer_leaves_both_deadlines_open() -> None:
    """After a lost change the earlier of both deadlines counts, until an answer tells."""
    shortened = asked("put", 100, None, minutes=0.5)
    memory = remembered([CREATED, shortened])
    assert memory.sessions[LAB].first_call_ms == 10 + MINUTE // 2
    memory.remember(asked("get", 200, 200, shown()))
    assert memory.sessions[LAB].first_call_ms == 10 + MINUTE


def test_a_deadline_moved_to_the_past_counts_from_the_request() -> None:
    """The cleanup starts then, not at an instant that was over before anybody asked."""
    to_the_past = asked("put", 50_000, 200, shown(minutes=0.5), minutes=0.5)
    assert remembered([CREATED, to_the_past]).sessions[LAB].first_call_ms == 50_000


def test_workers_that_are_named_no_longer_are_owed() -> None:
    """Each that any acknowledged request has named; one of a lost request may be."""
    named = Exchange("put", 100, 110, 200, LAB, workers=("w-1",), shown=shown(workers=("w-1",)))
    others = Exchange("put", 200, 210, 200, LAB, workers=("w-2",), shown=shown(workers=("w-2",)))
    lost = Exchange("put", 300, 310, None, LAB, workers=("w-3",))
    known = remembered([CREATED, named, others, lost]).sessions[LAB]
    assert list(known.owed) == [LAB, "w-1", "w-2"]
    assert set(known.possible) == {LAB, "w-1", "w-2", "w-3"}

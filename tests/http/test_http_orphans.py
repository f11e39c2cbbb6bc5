"""The routes about orphans: what an order must say, how the answers look, and which failures there are."""

from typing import Any

import pytest
from http_driven import START_MS, Api, DrivenAudit, DrivenReadiness, DrivenSessions
from openapi_spec_validator import validate
from pytest_aiohttp import AiohttpClient

from labsessions.core.audit import Entry
from labsessions.http import ApiOptions, make_app
from labsessions.http.admin.endpoints_orphans import MOST_SHOWN, MOST_SWEPT, PATH
from labsessions.http.admin.orphans import OrphanRoutes
from labsessions.inventory import (
    ListedVm,
    OrphanReport,
    OrphansError,
    SweepOrder,
    SweepRefusal,
    SweepRefusedError,
    Swept,
    SweptVm,
)

OLD = ListedVm("vm-old", START_MS - 5_400_000, "ann")
UNKNOWN = ListedVm("vm-unknown", None, None)
SHOWN_OLD = {
    "lab_request_id": "vm-old",
    "created_at": "2027-01-15T06:30:00.000Z",
    "age_seconds": 5400.0,
    "user_id": "ann",
}
SHOWN_UNKNOWN = {"lab_request_id": "vm-unknown", "created_at": None, "age_seconds": None, "user_id": None}
ORDER = {"min_age_minutes": 60, "max": 10, "dry_run": False}


class ScriptedOrphans:
    """`inventory.Orphans` that answers what the test says."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.found = OrphanReport(START_MS, 5, 3, [OLD, UNKNOWN])
        self.swept = Swept(START_MS, 2, [OLD], [SweptVm(OLD, deleted=True)])
        self.orders: list[SweepOrder] = []

    async def report(self) -> OrphanReport:
        """As set."""
        if self.fault is not None:
            raise self.fault
        return self.found

    async def sweep(self, order: SweepOrder) -> Swept:
        """As set."""
        self.orders.append(order)
        if self.fault is not None:
            raise self.fault
        return self.swept


class Noted(DrivenAudit):
    """`ports.Audit` that keeps what is noted."""

    def __init__(self) -> None:
        self.noted: list[Entry] = []

    async def note(self, entry: Entry) -> None:
        """See `ports.Audit`."""
        self.noted.append(entry)


@pytest.fixture
def audit() -> Noted:
    """Behind `api`."""
    return Noted()


@pytest.fixture
def orphans() -> ScriptedOrphans:
    """Behind `api`."""
    return ScriptedOrphans()


@pytest.fixture
async def api(
    aiohttp_client: AiohttpClient,
    engine: DrivenSessions,
    readiness: DrivenReadiness,
    orphans: ScriptedOrphans,
    audit: Noted,
) -> Api:
    """The front door with the routes about orphans."""
    options = ApiOptions(version="1")
    group = OrphanRoutes(orphans, audit, options).group()
    client: Api = await aiohttp_client(make_app(engine, readiness, options, groups=(group,)))
    return client


async def sweep(api: Api, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """The answer to an order."""
    answer = await api.post(f"{PATH}/sweep", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return answer.status, await answer.json()


async def test_the_report(api: Api) -> None:
    """Ages in seconds beside instants; unknown ones are null."""
    answer = await api.get(PATH)
    assert (answer.status, await answer.json()) == (
        200,
        {
            "success": True,
            "data": {"listed": 5, "known": 3, "total": 2, "orphans": [SHOWN_OLD, SHOWN_UNKNOWN]},
            "message": "Orphans retrieved successfully",
        },
    )


async def test_a_long_report_shows_the_first_and_counts_all(api: Api, orphans: ScriptedOrphans) -> None:
    """One more than are shown."""
    orphans.found = orphans.found._replace(orphans=[OLD] * (MOST_SHOWN + 1))
    data = (await (await api.get(PATH)).json())["data"]
    assert (len(data["orphans"]), data["total"]) == (MOST_SHOWN, MOST_SHOWN + 1)


async def test_what_was_swept(api: Api, orphans: ScriptedOrphans) -> None:
    """Each with its outcome; the counts; why it ended, if early."""
    done = [SweptVm(OLD, deleted=True), SweptVm(OLD, deleted=False), SweptVm(UNKNOWN, deleted=False, error="HTTP 500")]
    orphans.swept = Swept(START_MS, 7, [OLD, OLD, UNKNOWN], done, "the backend is down")
    status, body = await sweep(api, ORDER)
    assert (status, body["data"]) == (
        200,
        {
            "dry_run": False,
            "matched": 7,
            "deleted": 1,
            "failed": 1,
            "stopped": "the backend is down",
            "vms": [
                {**SHOWN_OLD, "outcome": "deleted", "error": None},
                {**SHOWN_OLD, "outcome": "kept", "error": None},
                {**SHOWN_UNKNOWN, "outcome": "failed", "error": "HTTP 500"},
            ],
        },
    )


async def test_a_dry_run_shows_what_would_be_swept(api: Api, orphans: ScriptedOrphans) -> None:
    """Without an outcome, as there is none."""
    orphans.swept = Swept(START_MS, 7, [OLD], [])
    _, body = await sweep(api, ORDER | {"dry_run": True})
    assert (body["data"]["vms"], body["data"]["deleted"]) == ([SHOWN_OLD], 0)


async def test_the_order_is_passed_on(api: Api, orphans: ScriptedOrphans) -> None:
    """What is not said has the careful meaning; who it was is a header."""
    await sweep(api, ORDER)
    full = {"expected": 2, "unknown_age": True, "none_known": True, "lab_request_ids": ["a", "b", "a"]}
    await sweep(api, {**ORDER, **full, "min_age_minutes": 5.5}, X_Operator="Olga P.")
    assert orphans.orders == [
        SweepOrder(3_600_000, 10, dry_run=False),
        SweepOrder(
            330_000,
            10,
            dry_run=False,
            expected=2,
            unknown_age=True,
            only=frozenset({"a", "b"}),
            none_known=True,
            by="Olga P.",
        ),
    ]
    assert (await sweep(api, ORDER, X_Operator="x" * 65))[1]["code"] == "invalid_operator"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"min_age_minutes": None}, "missing_fields", "min_age_minutes"),
        ({"max": None}, "missing_fields", "max"),
        ({"dry_run": None}, "missing_fields", "dry_run"),
        ({"min_age_minutes": 4.9}, "invalid_field", "min_age_minutes"),
        ({"min_age_minutes": "60"}, "invalid_field", "min_age_minutes"),
        ({"max": 0}, "invalid_field", "max"),
        ({"max": MOST_SWEPT + 1}, "invalid_field", f"1 to {MOST_SWEPT}"),
        ({"dry_run": "false"}, "invalid_field", "dry_run"),
        ({"unknown_age": 1}, "invalid_field", "unknown_age"),
        ({"expected": -1}, "invalid_field", "expected"),
        ({"unknown": 1}, "invalid_field", "'unknown' is not known"),
        ({"lab_request_ids": "a"}, "invalid_field", "lab_request_ids"),
        ({"lab_request_ids": [""]}, "invalid_field", "lab_request_ids[0]"),
    ],
)
async def test_an_order_that_is_not_clear_is_refused(
    api: Api, orphans: ScriptedOrphans, change: dict[str, Any], code: str, words: str
) -> None:
    """With the field's name, and nothing is done."""
    status, body = await sweep(api, ORDER | change)
    assert (status, body["code"], orphans.orders) == (400, code, [])
    assert words in body["error"]


async def test_no_body_is_no_order(api: Api) -> None:
    """What to delete has to be said."""
    answer = await api.post(f"{PATH}/sweep")
    assert (answer.status, (await answer.json())["code"]) == (400, "missing_fields")


@pytest.mark.parametrize("limits", [{"min_age_minutes": 5}, {"max": MOST_SWEPT}, {"expected": 0}])
async def test_the_limits_themselves_are_allowed(api: Api, limits: dict[str, Any]) -> None:
    """The youngest age, the largest number."""
    assert (await sweep(api, ORDER | limits))[0] == 200


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        (OrphansError("the list: HTTP 503"), 502, "orphans_unknown", "HTTP 503"),
        (SweepRefusedError(SweepRefusal.RUNNING), 409, "sweep_running", "under way"),
        (SweepRefusedError(SweepRefusal.CHANGED, "3"), 409, "sweep_changed", "there are 3"),
        (SweepRefusedError(SweepRefusal.NONE_KNOWN, "9"), 409, "sweep_none_known", "of 9"),
        (SweepRefusedError(SweepRefusal.HELD, "paused"), 409, "sweep_held", "paused"),
    ],
)
async def test_failures_have_codes_and_say_why(
    api: Api, orphans: ScriptedOrphans, fault: Exception, status: int, code: str, words: str
) -> None:
    """Programs go by the code, people by the words."""
    orphans.fault = fault
    answer, body = await sweep(api, ORDER)
    assert (answer, body["code"]) == (status, code)
    assert words in body["error"]


async def test_the_audit_has_what_was_ordered_and_what_came_of_it(
    api: Api, orphans: ScriptedOrphans, audit: Noted
) -> None:
    """Before anything is done, and after; a refusal, too. A dry run does nothing, and is not noted."""
    await sweep(api, ORDER | {"dry_run": True})
    assert audit.noted == []
    orphans.swept = orphans.swept._replace(
        done=[SweptVm(OLD, deleted=True), SweptVm(UNKNOWN, deleted=False, error="x")],
    )
    await sweep(api, ORDER | {"reason": "leaked"}, X_Operator="olga")
    begun, done = audit.noted
    assert (begun.who, begun.action, begun.outcome, begun.reason) == ("olga", "sweep_orphans", "begun", "leaked")
    assert begun.detail == ORDER
    assert (done.outcome, done.detail["deleted"], done.detail["failed"]) == ("done", ["vm-old"], ["vm-unknown"])
    orphans.fault = SweepRefusedError(SweepRefusal.HELD, "paused")
    await sweep(api, ORDER)
    assert [entry.outcome for entry in audit.noted[2:]] == ["begun", "sweep_held"]


async def test_a_report_of_a_list_that_is_unreadable_is_an_error(api: Api, orphans: ScriptedOrphans) -> None:
    """Never an empty one."""
    orphans.fault = OrphansError("HTTP 503")
    answer = await api.get(PATH)
    assert (answer.status, (await answer.json())["code"]) == (502, "orphans_unknown")


async def test_without_a_list_there_is_nothing_to_compare(
    aiohttp_client: AiohttpClient, engine: DrivenSessions, readiness: DrivenReadiness
) -> None:
    """Both routes say which setting is missing."""
    options = ApiOptions(version="1")
    api: Api = await aiohttp_client(
        make_app(engine, readiness, options, groups=(OrphanRoutes(None, Noted(), options).group(),))
    )
    for answer in (await api.get(PATH), await api.post(f"{PATH}/sweep", json=ORDER)):
        body = await answer.json()
        assert (answer.status, body["code"]) == (404, "orphans_unavailable")
        assert "backend.list_path" in body["error"]


async def test_they_are_described(api: Api) -> None:
    """The document stays valid, and has all their codes."""
    document = await (await api.get("/openapi.json")).json()
    validate(document)
    assert {"200", "400", "404", "409", "502"} <= set(document["paths"][f"{PATH}/sweep"]["post"]["responses"])

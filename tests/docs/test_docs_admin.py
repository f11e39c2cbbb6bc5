"""The page of operators against the routes by which they act."""

import re

from docs_pages import DOCS, codes, table, text

from labsessions.core.messages import Refusal
from labsessions.http import endpoints
from labsessions.http.admin import endpoints_act
from labsessions.http.endpoints import Endpoint
from labsessions.http.openapi import codes as codes_of

ADMIN = DOCS / "admin.md"
ENDPOINTS = [each for each in vars(endpoints_act).values() if isinstance(each, Endpoint)]


def test_the_table_of_actions_has_every_route() -> None:
    """In the order in which they are declared."""
    shown = [codes(action)[0] for action, _ in table(ADMIN, "Action", "What it does")]
    assert shown == [f"{each.method} {each.path}" for each in ENDPOINTS]


def test_the_table_of_failures_has_every_code_that_only_operators_meet() -> None:
    """With its status."""
    of_all = codes_of(each for each in vars(endpoints).values() if isinstance(each, Endpoint))
    own = {code: each.status for code, each in codes_of(ENDPOINTS).items() if code not in of_all}
    assert {codes(code)[0]: int(status) for code, status, _ in table(ADMIN, "Code", "Status", "When")} == own


def test_the_outcomes_of_the_audit_are_those_that_there_are() -> None:
    """Every refusal that an operator may meet, and those that are no refusal of the engine."""
    (listed,) = re.findall(r"or why not \(([^)]+)\)", text(ADMIN))
    met = {each.value for each in Refusal} - {"exists", "key_reused"}
    assert set(codes(listed)) == met | {"not_paused", "count_changed"}

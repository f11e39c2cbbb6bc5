"""The page on what operators can look at against the code."""

from docs_pages import DOCS, codes, table

from labsessions.http import endpoints
from labsessions.http.admin import endpoints_read, questions
from labsessions.http.admin.stream import MOST_STREAMS
from labsessions.http.endpoints import Endpoint
from labsessions.http.openapi import codes as codes_of
from labsessions.repository.survey import COUNTED

PAGE = DOCS / "admin-reading.md"


def test_it_has_every_route() -> None:
    """Exactly those that there are."""
    known = [each for each in vars(endpoints_read).values() if isinstance(each, Endpoint)]
    assert [codes(route)[0] for route, _ in table(PAGE, "Route", "Shows")] == [
        f"{each.method} {each.path}" for each in known
    ]


def test_it_has_every_parameter_of_the_list() -> None:
    """In the order of the description."""
    shown = [name for cell, _ in table(PAGE, "Parameter", "Finds") for name in codes(cell)]
    assert shown == [each.described.name for each in questions.SESSIONS]


def test_it_has_every_error() -> None:
    """With its status."""
    shown = {codes(code)[0]: int(status) for status, code, _ in table(PAGE, "Status", "`code`")}
    of_users = codes_of(each for each in vars(endpoints).values() if isinstance(each, Endpoint))
    known = codes_of(each for each in vars(endpoints_read).values() if isinstance(each, Endpoint))
    assert shown == {code: each.status for code, each in known.items() if code not in of_users}


def test_its_figures_are_those_of_the_code() -> None:
    """The bounds that it names."""
    text = PAGE.read_text("utf-8")
    assert f"Up to {MOST_STREAMS} such streams" in text
    assert f"more than {COUNTED:,} sessions" in text

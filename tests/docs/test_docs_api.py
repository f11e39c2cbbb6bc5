"""Routes and errors in the pages against the HTTP layer's code."""

import re
from pathlib import Path
from typing import Any

import pytest
from docs_pages import API_EXAMPLES, HTTP_FILE, README, ROOT, codes, table, text

from labsessions.core.messages import Message, Reply
from labsessions.core.policy import Policy
from labsessions.http import endpoints, errors
from labsessions.http.app import make_app
from labsessions.http.dashboard import FILE
from labsessions.http.metrics import metrics_routes
from labsessions.http.openapi import codes as codes_of
from labsessions.http.options import ApiOptions
from labsessions.http.schemas import EVENT_TYPES
from labsessions.mockbackend import make_app as make_mock_backend

HTTP = ROOT / "labsessions" / "http"


class Nobody:
    """An engine and a readiness that are never asked: only the router is looked at."""

    policy = Policy()

    async def ask(self, user_id: str, message: Message) -> Reply:
        """See `ports.Sessions`."""
        raise AssertionError(user_id, message)

    def now_ms(self) -> int:
        """See `ports.Sessions`."""
        return 0

    async def check(self) -> dict[str, Any]:
        """See `ports.Readiness`."""
        return {}

    async def text(self) -> bytes:
        """See `ports.Exposition`."""
        return b""


def routes() -> set[str]:
    """The service's routes as `METHOD /path/{variable}`."""
    groups = (metrics_routes(Nobody(), is_open=False),)
    app = make_app(Nobody(), Nobody(), ApiOptions(version="0"), groups=groups)
    found = {f"{route.method} {route.resource.canonical}" for route in app.router.routes() if route.resource}
    return {route for route in found if not route.startswith("HEAD ")} - {f"GET {FILE}"}  # no part of the API


def problems() -> dict[str, tuple[int, str | None]]:
    """Status and fixed text of each error code; None: each request gets a text of its own (`Problem.saying`)."""
    sources = "".join(module.read_text("utf-8") for module in HTTP.glob("*.py"))
    vary = {vars(errors)[name].code for name in re.findall(r"\b([A-Z_]+)\.saying\(", sources)}
    known = codes_of(each for each in vars(endpoints).values() if isinstance(each, endpoints.Endpoint))
    return {code: (each.status, None if code in vary else each.text) for code, each in known.items()}


def test_the_api_table_has_every_route() -> None:
    """Exactly the router's routes."""
    assert {codes(route)[0] for route, *_ in table(README, "Route", "Does")} == routes()


@pytest.mark.parametrize("route", sorted(routes()))
def test_every_route_has_an_example(route: str) -> None:
    """Named in the page of examples, or called by it."""
    method, _, path = route.partition(" ")
    named = f"`{route}`" in text(API_EXAMPLES)
    called = method == "GET" and re.search(
        rf"curl -s\w* http://127\.0\.0\.1:8787{re.escape(path)}\s", text(API_EXAMPLES)
    )
    assert named or called


def test_the_errors_table_has_every_code_with_status_and_text() -> None:
    """In both directions; a text that varies stands with an ellipsis."""
    shown = {
        codes(code)[0]: (int(status), None if "…" in words else codes(words)[0])
        for status, code, words, _ in table(API_EXAMPLES, "Status", "`code`")
    }
    assert len(shown) > 10
    assert shown == problems()


@pytest.mark.parametrize("code", sorted(problems()))
def test_every_error_has_an_answer_as_it_was_given(code: str) -> None:
    """A whole envelope with this code and, where it is fixed, with its text."""
    status, words = problems()[code]
    envelope = (
        rf'^\{{"success":false,"error":"([^\n]+)","code":"{code}","request_id":"[\w.-]+"(?:,"why_not":"\w+")?\}}$'
    )
    answers = re.findall(envelope, text(API_EXAMPLES), re.MULTILINE)
    assert answers, f"no answer {status} {code}"
    assert words is None or set(answers) == {words}


def requests(page: Path) -> list[tuple[str, str, str]]:
    """Method, host variable and path of each request in the file for REST clients."""
    return re.findall(r"^(GET|POST|PUT|DELETE|PATCH) \{\{(\w+)\}\}(/\S*)$", text(page), re.MULTILINE)


def test_the_http_file_asks_only_for_routes_that_exist() -> None:
    """Of the service and of the mock backend; no request is overlooked, and every route of the service is used."""
    mock = make_mock_backend().router.routes()
    known = {
        "service": routes(),
        "backend": {f"{route.method} {route.resource.canonical}" for route in mock if route.resource},
    }
    asked: dict[str, set[str]] = {"service": set(), "backend": set()}
    for method, host, path in requests(HTTP_FILE):
        bare = re.sub(r"/http-user-\d+\b", "/{user_id}", path.partition("?")[0])
        asked[host].add(f"{method} {bare}")
    assert asked["service"] == known["service"]
    assert asked["backend"] <= known["backend"]
    assert len(requests(HTTP_FILE)) == text(HTTP_FILE).count("\n### ")


def test_the_http_file_says_what_to_expect() -> None:
    """Each request has a title and the status of its answer."""
    titles = re.findall(
        r"^### \d+\.\d+ \S.*\n(?:# Wait \d+ seconds\n)?# Expect [2-5]\d\d\n", text(HTTP_FILE), re.MULTILINE
    )
    assert len(titles) == len(requests(HTTP_FILE))


def test_the_events_table_has_every_type() -> None:
    """Those that are stored, and the one that only the stream has."""
    shown = {codes(kind)[0] for kind, *_ in table(API_EXAMPLES, "Event", "What it means")}
    assert shown == set(EVENT_TYPES)

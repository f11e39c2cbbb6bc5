"""The dashboard as the front door serves it: who gets it, what a browser may do with it, what is in its files.

How it behaves in a browser is tested in `tests/dashboard`.
"""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import hdrs
from http_driven import Api

import labsessions.http.dashboard
from labsessions.http import ApiOptions
from labsessions.http.dashboard.routes import wants_page

FILES = Path(labsessions.http.dashboard.__file__).parent / "static"
MODULES = sorted(FILES.glob("*.js"))
SERVED = sorted(each.name for each in FILES.iterdir() if each.name != "index.html")
PAGE = (FILES / "index.html").read_text("utf-8")

# As these browsers send it for a page.
CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.fixture
def options() -> ApiOptions:
    """Tokens are set: the page is there without, as it holds nothing of anybody's."""
    return ApiOptions(
        version="1.2.3", tokens=("token-1",), admin_tokens=("admin-1",), not_configured=("BACKEND_API_URL",)
    )


@pytest.mark.parametrize("path", ["/", "/dashboard"])
@pytest.mark.parametrize("accept", [CHROMIUM, FIREFOX, "text/html"])
async def test_browsers_get_the_page(api: Api, path: str, accept: str) -> None:
    """At both addresses, without a token."""
    async with api.get(path, headers={"Accept": accept}) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert await answer.text() == PAGE


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "application/json, text/html;q=0.9", "text/plain", ""]
)
async def test_everybody_else_gets_the_overview(api: Api, accept: str | None) -> None:
    """JSON, byte for byte the same."""
    async with api.get("/", headers={"Accept": "application/json"}) as answer:
        expected = await answer.read()
    headers = {} if accept is None else {"Accept": accept}
    async with api.get("/", headers=headers, skip_auto_headers=["Accept"]) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.read() == expected


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html", True),
        ("TEXT/HTML;q=0.1", True),
        ("text/html;level=1;q=0.5, application/json;q=0.5", True),
        ("text/html;q=0.5, application/json;q=0.51", False),
        ("text/html;q=0", False),
        ("text/html; q=often", False),
        ("text/*", False),
        ("application/xhtml+xml", False),
        ("x-text/html", False),
        (",;,", False),
    ],
)
def test_only_who_names_html_wants_it(accept: str, wanted: bool) -> None:  # noqa: FBT001 - a table
    """And likes it no less than JSON: a program that takes anything is no browser."""
    assert wants_page(accept) is wanted


async def test_the_page_is_a_route_of_the_overview(api: Api) -> None:
    """So that a program's reader finds it; its files are no part of the API."""
    async with api.get("/") as answer:
        paths = [each["path"] for each in (await answer.json())["endpoints"]]
    assert "/dashboard" in paths
    assert not [path for path in paths if path.startswith("/dashboard/")]


@pytest.mark.parametrize(
    "path", ["/", "/dashboard", "/dashboard/app.js", "/dashboard/theme.css", "/dashboard/icon.svg"]
)
async def test_a_browser_may_do_with_it_what_it_needs(api: Api, path: str) -> None:
    """Its own files and its own origin; nothing inline, no frame, no form; text that becomes markup is an error."""
    async with api.get(path, headers={"Accept": CHROMIUM}) as answer:
        assert answer.headers.getall("Content-Security-Policy") == [POLICY]
        assert answer.headers.getall("Cache-Control") == ["no-cache"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("name", SERVED)
async def test_every_file_is_served(api: Api, name: str) -> None:
    """With its type, whatever the machine thinks of suffixes."""
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    async with api.get(f"/dashboard/{name}") as answer:
        assert (answer.status, answer.content_type) == (200, types[Path(name).suffix])
        assert await answer.read() == (FILES / name).read_bytes()


@pytest.mark.parametrize(
    "name", ["nothing.js", "index.html", "..%2findex.html", "..%2f__init__.py", "app.js%00", "static"]
)
async def test_nothing_else_is(api: Api, name: str) -> None:
    """404 as of any unknown route."""
    async with api.get(f"/dashboard/{name}") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "route_not_found")


@pytest.mark.parametrize("path", ["/", "/dashboard", "/dashboard/app.js"])
async def test_what_a_browser_has_is_not_sent_again(api: Api, path: str) -> None:
    """304 for the tag of this very content, also among others, weak, or any; the whole for another one."""
    accept = {"Accept": CHROMIUM}
    async with api.get(path, headers=accept) as answer:
        tag = answer.headers[hdrs.ETAG]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        async with api.get(path, headers=accept | {"If-None-Match": known}) as answer:
            assert (answer.status, await answer.read(), answer.headers[hdrs.ETAG]) == (304, b"", tag), known
            assert answer.headers["Cache-Control"] == "no-cache"
    for unknown in ('"other"', tag.strip('"'), tag[:-2] + '"'):
        async with api.get(path, headers=accept | {"If-None-Match": unknown}) as answer:
            assert answer.status == 200, unknown


async def test_a_cache_tells_browsers_from_others(api: Api) -> None:
    """`/` has two answers: which one depends on `Accept`."""
    async with api.get("/", headers={"Accept": CHROMIUM}) as answer:
        assert "Accept" in answer.headers["Vary"]


async def test_a_head_without_a_body(api: Api) -> None:
    """HEAD, as of every GET."""
    async with api.head("/dashboard") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(PAGE.encode())))


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style") and data.strip():
            self.inside.append(data)


def test_nothing_is_inline() -> None:
    """No script, no style, no handler in the page: the policy would refuse it, and the page would be broken."""
    elements = _Elements()
    elements.feed(PAGE)
    assert elements.inside == []
    assert "style" not in [tag for tag, _ in elements.found]
    names = {name for _, attributes in elements.found for name in attributes}
    assert [name for name in names if name.startswith("on") or name == "style"] == []


def test_nothing_is_from_elsewhere() -> None:
    """No CDN, no font, no address at all but the namespace of SVG; what the page names is a file of its own."""
    named = re.findall(r'(?:src|href)="(?!#)([^"]+)"', PAGE)
    assert {name for name in named if name != "docs"} <= {f"dashboard/{name}" for name in SERVED}
    for file in FILES.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"')]+|[\"'(]//[^\s\"')]+", file.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name
        assert file.suffix != ".css" or "@import" not in file.read_text("utf-8")


def test_every_module_is_used_and_every_import_is_there() -> None:
    """From `app.js` on, each import names a module and members that it exports; no module is left over."""
    used, waiting = set(), ["app.js"]
    while waiting:
        name = waiting.pop()
        used.add(name)
        source = (FILES / name).read_text("utf-8")
        for members, target in re.findall(r'^import (.+?) from "\./([\w-]+\.js)";', source, re.MULTILINE | re.DOTALL):
            exported = set(
                re.findall(
                    r"^export (?:class|const|(?:async )?function) (\w+)", (FILES / target).read_text(), re.MULTILINE
                )
            )
            if members.startswith("{"):
                assert set(re.findall(r"\w+", members)) <= exported, (name, target)
            if target not in used:
                waiting.append(target)
    assert used == {module.name for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_is_small_and_makes_no_markup(module: Path) -> None:
    """One idea, said in its first line; elements are made in `dom.js`, nothing is evaluated."""
    source = module.read_text("utf-8")
    assert source.startswith("/** ")
    assert source.count("\n") <= 250
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function", source)
        == []
    )
    assert module.name == "dom.js" or "createElement" not in source


def test_every_element_that_a_module_asks_for_is_in_the_page() -> None:
    """By its id."""
    ids = set(re.findall(r'id="([\w-]+)"', PAGE))
    asked = {name for module in MODULES for name in re.findall(r'byId\("([\w-]+)"\)', module.read_text("utf-8"))}
    panels = {name for module in MODULES for name in re.findall(r'\bpanel\(\s*"([\w-]+)"', module.read_text("utf-8"))}
    assert len(asked) > 10
    assert asked | panels <= ids

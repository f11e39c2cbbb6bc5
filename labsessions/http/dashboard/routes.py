"""Who gets the dashboard's page and files, and what a browser may do with them."""

from typing import Final

from aiohttp import ETag, hdrs, web
from aiohttp.typedefs import Handler

from labsessions.http.dashboard.files import PAGE, File, read
from labsessions.http.errors import ROUTE_NOT_FOUND, RefusedError

FILE: Final = "/dashboard/{file}"
"""The path of the files; they are no part of the API."""

# Its own files, and requests to its own origin. Text that becomes markup or code is an error in itself, wherever it
# is from (`trusted-types`).
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # Kept, and asked for before each use: after an upgrade no file of the last release meets one of this.
    hdrs.CACHE_CONTROL: "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE_HEADERS: Final = _HEADERS | {hdrs.VARY: f"{hdrs.ACCEPT}, {hdrs.ORIGIN}"}


class DashboardRoutes:
    """Handlers of `/dashboard` and its files; these are read when it is made."""

    def __init__(self) -> None:
        self._files = read()

    async def page(self, request: web.Request) -> web.Response:
        """200, or 304 if the browser has it."""
        return _answer(request, self._files[PAGE], _PAGE_HEADERS)

    async def file(self, request: web.Request) -> web.Response:
        """Likewise; 404 if there is none of that name."""
        name = request.match_info["file"]
        if name == PAGE or name not in self._files:
            raise RefusedError(ROUTE_NOT_FOUND)
        return _answer(request, self._files[name], _HEADERS)

    def for_browsers(self, others: Handler) -> Handler:
        """A handler that answers with the page where one is wanted, and as `others` does where not."""

        async def choose(request: web.Request) -> web.StreamResponse:
            wanted = wants_page(request.headers.get(hdrs.ACCEPT, ""))
            return await (self.page if wanted else others)(request)

        return choose


def wants_page(accept: str) -> bool:
    """Whether `Accept` names HTML, and likes it no less than JSON. Only browsers do; `*/*` names nothing."""
    html, json = _weight(accept, "text/html"), _weight(accept, "application/json")
    return html > 0 and html >= json


def _weight(accept: str, media_type: str) -> float:
    """`q` of a media type that is named, else 0."""
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        if name == media_type:
            given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
            try:
                return float(given)
            except ValueError:
                return 0
    return 0


def _answer(request: web.Request, file: File, headers: dict[str, str]) -> web.Response:
    tags = request.if_none_match or ()
    if any(tag.value in (file.tag, "*") for tag in tags):
        answer = web.Response(status=304, headers=headers)
    else:
        answer = web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)
    answer.etag = ETag(file.tag)
    return answer

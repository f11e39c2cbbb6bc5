"""Conditional requests: `ETag` in answers, `If-Match` in requests (RFC 9110, 8.8.3 and 13.1.1)."""

import re
from typing import Final

from aiohttp import hdrs, web

from labsessions.core.model import Session
from labsessions.http.errors import INVALID_CONDITION, RefusedError

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
IF_MATCH: Final = {"type": "string", "pattern": rf"^(\*|{_TAG}(,{_TAG})*)$"}
_TAGS: Final = re.compile(rf"[ \t]*{_TAG}(?:[ \t]*,[ \t]*{_TAG})*[ \t]*")
_EACH: Final = re.compile(r'(W/)?"([^"]*)"')


def tagged(answer: web.Response, session: Session) -> web.Response:
    """The answer with the entity tag of the session that it shows."""
    answer.headers[hdrs.ETAG] = f'"{session.tag}"'
    return answer


def named_tags(request: web.Request) -> frozenset[str] | None:
    """The states of the session that the client means; None: any. RefusedError 400 for what cannot be read."""
    given = request.headers.getall(hdrs.IF_MATCH, None)
    if given is None:
        return None
    value = ",".join(given)
    if value.strip() == "*":
        return None
    if _TAGS.fullmatch(value) is None:
        raise RefusedError(INVALID_CONDITION)
    # A weak tag never matches, as it doesn't name one very state.
    return frozenset(tag for weak, tag in _EACH.findall(value) if not weak)

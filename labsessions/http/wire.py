"""JSON in and out: bodies are read and parsed, answers are put in their envelope. No field is known here."""

import asyncio
import json
from collections.abc import Mapping, MutableMapping
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any, Final

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from labsessions.http.errors import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    BODY_UNREADABLE,
    INVALID_FIELD,
    INVALID_JSON,
    NOT_AN_OBJECT,
    Problem,
    RefusedError,
)

_LONGEST_NUMBER: Final = 40  # digits, shown in a message
_LONGEST_NAME: Final = 64  # characters of a name that isn't ours, shown in a message
_SPACE: Final = b" \t\r\n"

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()


class SharedFields:
    """Header fields that many answers have in common, written out once."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)
        self.text = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])

    def add_to(self, headers: MutableMapping[str, str]) -> None:
        """Set those that aren't there."""
        for name, value in self._fields.items():
            headers.setdefault(name, value)


_NONE: Final = SharedFields({})


class JsonAnswer(web.Response):
    """An answer that is written in one go, head and body, where nothing of HTTP is to be decided.

    That is: HTTP/1.1, the connection stays, and there is a body to send. Anything else goes aiohttp's way, which
    takes a tenth of the time of a GET longer. `on_response_prepare` signals are not sent for it. `shared` has header
    fields that the answer has besides its own.
    """

    def __init__(self, body: bytes, status: int) -> None:
        super().__init__(body=body, status=status, content_type="application/json")
        self.shared = _NONE
        self._in_one_go = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """See `web.StreamResponse`."""
        body, transport = self.body, request.transport
        stays = request.keep_alive and self.keep_alive is None  # else somebody has called `force_close`
        plain = request.version == HttpVersion11 and stays and request.method != hdrs.METH_HEAD
        if not plain or not isinstance(body, bytes) or transport is None:
            self.shared.add_to(self.headers)
            return await super().prepare(request)
        fields = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        start = f"HTTP/1.1 {self.status} {self.reason}\r\nDate: {_date(int(time()))}\r\nContent-Length: {len(body)}\r\n"
        transport.write(f"{start}{fields}{self.shared.text}\r\n".encode() + body)
        self._in_one_go = True
        return None

    @property
    def keep_alive(self) -> bool | None:
        """See `web.StreamResponse`."""
        return True if self._in_one_go else super().keep_alive

    async def write_eof(self, data: bytes = b"") -> None:
        """See `web.StreamResponse`."""
        if not self._in_one_go:
            await super().write_eof(data)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def json_answer(value: Any, status: int = 200) -> web.Response:
    """An answer whose body is `value` as JSON."""
    return JsonAnswer(_encoder.encode(value), status)


def success(data: Any, message: str, status: int = 200) -> web.Response:
    """The contract's envelope of a success."""
    return json_answer({"success": True, "data": data, "message": message}, status)


def failure(problem: Problem, request_id: str) -> web.Response:
    """The contract's envelope of a failure."""
    answer = json_answer(failure_body(problem, request_id), problem.status)
    answer.headers.update(problem.headers)
    return answer


def failure_body(problem: Problem, request_id: str) -> dict[str, object]:
    """What is in that envelope: with the stable code, and the id that finds the log lines."""
    body = {"success": False, "error": problem.text, "code": problem.code, "request_id": request_id}
    return body if problem.why_not is None else {**body, "why_not": problem.why_not}


async def read_body(request: web.Request, seconds: float) -> bytes:
    """The whole body, at most the application's `client_max_size` bytes after decompression.

    RefusedError 413 if there is more, without reading if `Content-Length` says so; 408 if it isn't whole within
    `seconds`; 400 if it breaks off.
    """
    if (request.content_length or 0) > request.client_max_size:
        raise RefusedError(BODY_TOO_LARGE)
    try:
        if request.content.is_eof():  # it came with its head, as short ones do: nothing to wait for
            return await request.read()
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError as error:
        raise RefusedError(BODY_TOO_SLOW) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RefusedError(BODY_TOO_LARGE) from error
    except (web.RequestPayloadError, ConnectionError) as error:  # malformed chunks or gzip; the client has gone
        raise RefusedError(BODY_UNREADABLE) from error


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, whatever its content type says.

    RefusedError 400 for anything else, and for a member that is there twice: the next reader, or the last one, may
    have taken the other for what is meant. Numbers that no double holds (1e400), lone surrogates and nesting
    beyond the interpreter's recursion limit count as invalid JSON: what is accepted can be stored and sent again.
    """
    try:
        value = _decoder.decode(body)
        if _may_repeat(body, value):
            json.loads(body, object_pairs_hook=_each_once)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(INVALID_JSON) from error
    if not isinstance(value, dict):
        raise RefusedError(NOT_AN_OBJECT.saying(f"{NOT_AN_OBJECT.text}, got {kind(value)}"))
    return value


def _may_repeat(body: bytes, value: Any) -> bool:
    """Whether a member may be in the text more than once; False, for certain, for nearly every body.

    The last of them is what the decoder keeps, so there are more ends of names in the text than in the value's own. In
    strings there is as much that only looks like one, or more, unless its characters are written as numbers.
    """
    ends = body.translate(None, _SPACE).count(b'":')
    return ends != _encoder.encode(value).count(b'":') or b"\\u00" in body


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            text = f"Field '{name[:_LONGEST_NAME]}' must be there once, got it again"
            raise RefusedError(INVALID_FIELD.saying(text))
        seen.add(name)


def kind(value: Any) -> str:
    """What a JSON value is, in words for a message; strings are never quoted, they may be secrets."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case "":
            return "an empty string"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            shown = str(value)
            return shown if len(shown) <= _LONGEST_NUMBER else f"a number of {len(shown)} digits"

"""`Idempotency-Key`: a POST that may be sent again (draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
import re
from typing import Final

from aiohttp import web

from labsessions.core.messages import Create, ExtendBy, ExtendUntil, Keyed
from labsessions.http.errors import INVALID_KEY, RefusedError

KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"

PATTERN: Final = "^[!-~]{1,255}$"  # of JSON Schema, too
_KEY: Final = re.compile(PATTERN)
_DIGEST_BYTES: Final = 16


def keyed(
    request: web.Request, body: bytes, message: Create | ExtendBy | ExtendUntil
) -> Create | ExtendBy | ExtendUntil | Keyed:
    """The message, with the key if the request brings one. RefusedError 400 for what is no key."""
    if KEY not in request.headers:
        return message
    match request.headers.getall(KEY):
        case [key] if _KEY.fullmatch(key):
            said = request.rel_url.raw_path.encode() + b"\n" + body
            return Keyed(key, hashlib.blake2b(said, digest_size=_DIGEST_BYTES).hexdigest(), message)
        case _:
            raise RefusedError(INVALID_KEY)


def marked(answer: web.Response, *, replayed: bool) -> web.Response:
    """The answer, with the header that tells whether it was given before."""
    if replayed:
        answer.headers[REPLAYED] = "true"
    return answer

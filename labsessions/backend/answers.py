"""Reading what the backend sends: bodies within bounds, and the header that says when to come back."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aiohttp import ClientError, ClientResponse


async def read_bounded(response: ClientResponse, max_bytes: int, seconds: float) -> bytes | None:
    """The body if it is whole within these bounds, else None. The response is done with either way.

    A whole body gives the connection back to the pool; otherwise the connection is closed, because what is
    still to come on it belongs to this answer. Never raises but on cancellation.
    """
    body = bytearray()
    try:
        if response.content.is_eof():  # it came with its headers, as short ones do: nothing to wait for
            whole = response.content.read_nowait()
            return whole if len(whole) <= max_bytes else None
        async with asyncio.timeout(seconds):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    return None
    except (ClientError, TimeoutError):
        return None
    finally:
        response.close()  # does nothing after a whole body
    return bytes(body)


def retry_after_seconds(response: ClientResponse, now: datetime) -> float | None:
    """What `Retry-After` asks for, in seconds from now: a number or an HTTP date; None if absent or nonsense."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # OverflowError: a year or an hour beyond all bounds
        return None
    if then.tzinfo is None:  # "-0000": the sender knows no zone, HTTP knows only one
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())

"""The route that drives time, for tests of front ends; there only with `--test-clock`."""

from typing import Any, Final

from aiohttp import web

from labsessions.core.projection import iso
from labsessions.http.checks import Check, minutes
from labsessions.http.errors import INVALID_FIELD, RefusedError
from labsessions.http.wire import json_answer, parse_object, read_body
from labsessions.ports import Time

ADVANCE: Final = "/__clock/advance"
LONGEST_MINUTES: Final = 527_040  # a year: what is longer is a typing error
_MINUTES: Final[Check] = minutes(LONGEST_MINUTES)
_MS_PER_MINUTE: Final = 60_000


class ClockRoutes:
    """The handler of `POST /__clock/advance`."""

    def __init__(self, time: Time, body_seconds: float) -> None:
        self._time = time
        self._body_seconds = body_seconds

    async def advance(self, request: web.Request) -> web.Response:
        """`{"minutes": n}`: 200 with the new instant when all has been done that fell due by then."""
        body = parse_object(await read_body(request, self._body_seconds))
        value: Any = body.get("minutes")
        if faults := _MINUTES.find("minutes", value):
            raise RefusedError(INVALID_FIELD.saying(faults[0]))
        await self._time.advance(round(float(value) * _MS_PER_MINUTE))
        return json_answer({"now": iso(self._time.now_ms())})

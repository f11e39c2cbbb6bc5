"""A front end that plays a scenario: the four routes over HTTP, and a note of every answer. It judges nothing."""

import asyncio
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp

from labsessions.demo.scenarios import Scenario
from labsessions.demo.screen import Screen, instant_ms, now_ms
from labsessions.demo.verdict import PROMPT_MS, Seen

SESSIONS: Final = "/api/v1/labs/sessions"
POLL_SECONDS: Final = 0.1
ANSWER_SECONDS: Final = 5.0  # far more than an answer takes, so that a service that hangs is seen as such
# The longest scenario takes ten seconds; what isn't over by then has failed. Start, this and stop fit in a minute.
SCENARIO_SECONDS: Final = 30.0


class Answer(NamedTuple):
    """Status and body; `status` 0 is no answer, and `error` then says why."""

    status: int
    data: dict[str, Any]
    error: str


class Client:
    """One user's front end. What it does is shown on the screen, what it is told is in `seen`."""

    def __init__(self, http: aiohttp.ClientSession, url: str, scenario: Scenario, screen: Screen) -> None:
        self.seen = Seen()
        self._http = http
        self._url = url
        self._scenario = scenario
        self._screen = screen

    async def play(self, seconds: float = SCENARIO_SECONDS) -> None:
        """Play the scenario to its end, or until its time is up; what is missing then is missing in `seen`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._play()

    async def _play(self) -> None:
        scenario = self._scenario
        posted = await self._act("POST", "", f": {scenario.title}, {scenario.minutes * 60:g} s", _body(scenario))
        if posted.status != 201:  # noqa: PLR2004 - Created
            return
        if scenario.extended_to is not None:
            await self._passed(self._halfway_ms())
            change = {"duration": scenario.extended_to}
            await self._act("PUT", self._own_path(), f": {scenario.extended_to * 60:g} s instead", change)
        if scenario.deleted_by_hand:
            await self._passed(self._halfway_ms())
            await self._act("DELETE", self._own_path(), ": by hand")
        await self._gone()
        if not scenario.owed:
            await self._passed(self.seen.deadlines_ms[-1] + PROMPT_MS)

    async def _gone(self) -> None:
        """Look at the session until there is none, and note what it says of failures."""
        shown = self.seen.failures
        while True:
            looked_ms = now_ms()
            answer = await self._ask("GET", f"/user/{quote(self._scenario.user)}")
            if answer.status == 404:  # noqa: PLR2004 - Not Found
                self._note(looked_ms, "GET", answer)
                return
            error, attempt = answer.data.get("last_error"), answer.data.get("attempts", 0)
            if error and answer.data.get("status") == "cleaning" and attempt not in shown:
                shown[attempt] = error
                self._screen.client(looked_ms, self._scenario.user, f"GET → 200 cleaning, attempt {attempt}: {error}")
            await asyncio.sleep(POLL_SECONDS)

    async def _act(self, method: str, path: str, what: str, body: dict[str, Any] | None = None) -> Answer:
        """A request that changes something: shown, noted, and its deadline kept."""
        asked_ms = now_ms()
        answer = await self._ask(method, path, body)
        self._note(asked_ms, method, answer, what)
        if "expires_at" in answer.data:
            self.seen.created_ms = instant_ms(answer.data["created_at"])
            self.seen.deadlines_ms.append(instant_ms(answer.data["expires_at"]))
        return answer

    def _note(self, asked_ms: int, method: str, answer: Answer, what: str = "") -> None:
        self.seen.answers.append(f"{method} {answer.status or f'no answer ({answer.error})'}")
        said = f" {answer.error}" if answer.error else ""
        self._screen.client(asked_ms, self._scenario.user, f"{method}{what} → {answer.status or 'no answer:'}{said}")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Never raises but on cancellation: that a service is not there is an outcome too."""
        limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self._http.request(method, self._url + SESSIONS + path, json=body, timeout=limit) as response:
                envelope = await response.json()
                return Answer(response.status, envelope.get("data") or {}, envelope.get("error", ""))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:  # ValueError: a body that isn't JSON
            return Answer(0, {}, type(error).__name__)

    async def _passed(self, until_ms: int) -> None:
        while (left_ms := until_ms - now_ms()) > 0:  # noqa: ASYNC110 - the wall clock sets no event
            await asyncio.sleep(left_ms / 1000)

    def _halfway_ms(self) -> int:
        return self.seen.created_ms + self._scenario.durations_ms[0] // 2

    def _own_path(self) -> str:
        return f"/{quote(self._scenario.user)}"


def _body(scenario: Scenario) -> dict[str, Any]:
    """A POST's body with all that is required (CONTRACT §1)."""
    master, *workers = scenario.vms
    body: dict[str, Any] = {
        "labId": "demo-lab",
        "labTitle": scenario.title,
        "labGroupID": "demo-group",
        "moduleID": "demo-module",
        "duration": scenario.minutes,
        "activatedAt": "2026-01-01T00:00:00Z",
        "counterID": "demo-counter",
        "configId": "demo-config",
        "workerConfigId": "demo-worker-config",
        "lab_request_id": master,
        "user_id": scenario.user,
        "terminal_url": "https://terminal.example/demo",
        "validation": 0,
        "vm": {"name": master, "network_id": "demo-network", "netbird_ip": "100.64.0.1"},
    }
    if workers:
        body["worker_nodes"] = [
            {"name": vm, "worker_lab_request_id": vm, "network_id": "demo-network", "netbird_ip": f"100.64.0.{number}"}
            for number, vm in enumerate(workers, start=2)
        ]
    return body

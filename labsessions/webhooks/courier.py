"""What an endpoint's actor has done outside of its mailbox: reads a page of events, sends them one after the other.

It stops at the first that is not accepted, and after a while in any case, so that what was accepted is stored soon: a
crash repeats no more than that, with the same ids.
"""

import asyncio
import random
from typing import Final, NamedTuple, Protocol

from labsessions.webhooks.messages import Message, message
from labsessions.webhooks.sender import Endpoint
from labsessions.webhooks.source import Letter, Source
from labsessions.webhooks.standing import Carried, Failure

# The least that an attempt spends sending, if there is so much to send; then its cursor is stored.
BUDGET_SECONDS: Final = 1.0


class Sends(Protocol):
    """A `sender.Sender`."""

    async def send(self, endpoint: Endpoint, message: Message) -> Failure | None:
        """None if it was accepted. Never raises but on cancellation."""
        ...


class Replayed(NamedTuple):
    """What a pass over the dead letters after `after` has done, through `through`. `more`: it isn't over yet.

    `ended`: why it was broken off, as the endpoint is not there; or why the letters could not be read.
    """

    after: int
    through: int
    accepted: tuple[Letter, ...] = ()
    refused: tuple[Letter, ...] = ()
    more: bool = False
    ended: Failure | None = None


class Courier:
    """Carries for all endpoints."""

    def __init__(self, source: Source, sender: Sends, rng: random.Random) -> None:
        self._source = source
        self._sender = sender
        self._rng = rng

    async def carry(self, endpoint: Endpoint, after: int) -> Carried:
        """Send what the endpoint wants of the events after this number. Never raises but on cancellation."""
        try:
            rows = await self._source.events(after)
            # Pruning takes the oldest without a gap, so what is missing before the first row is all that is missing.
            first = rows[0]["seq"] - 1 if rows else (await self._source.extent()).pruned
        except Exception as error:  # noqa: BLE001 - the store's trouble, which passes
            return Carried(after, after, trouble=str(error) or type(error).__name__)
        through = max(after, first)
        lost, delivered = through - after, 0
        enough = asyncio.get_running_loop().time() + BUDGET_SECONDS
        for row in rows:
            told = message(endpoint.name, row)
            if told.type in endpoint.events:
                if asyncio.get_running_loop().time() >= enough:
                    break
                if (failure := await self._sender.send(endpoint, told)) is not None:
                    failed = (told, failure)
                    chance = self._rng.random()
                    return Carried(after, through, delivered, lost, failed=failed, chance=chance)
                delivered += 1
            through = told.seq
        return Carried(after, through, delivered, lost, more=bool(rows) or lost > 0)

    async def replay(self, endpoint: Endpoint, after: int) -> Replayed:
        """Send the dead letters after this number once more; those that are refused again stay.

        Broken off where the answer says nothing of the letter: those behind it would fare the same.
        """
        try:
            letters = await self._source.letters(endpoint.name, after)
        except Exception as error:  # noqa: BLE001 - as above
            return Replayed(after, after, ended=Failure(str(error) or type(error).__name__))
        through, accepted, refused = after, list[Letter](), list[Letter]()
        enough = asyncio.get_running_loop().time() + BUDGET_SECONDS
        for letter in letters:
            if asyncio.get_running_loop().time() >= enough:
                break
            told = Message(letter.seq, letter.webhook_id, letter.type, letter.at, letter.payload)
            failure = await self._sender.send(endpoint, told)
            if failure is None:
                accepted.append(letter)
            else:
                refused.append(letter._replace(attempts=letter.attempts + 1, last_error=failure.error))
                if failure.gone or failure.absent:
                    return Replayed(after, letter.seq, tuple(accepted), tuple(refused), ended=failure)
            through = letter.seq
        return Replayed(after, through, tuple(accepted), tuple(refused), more=bool(letters))

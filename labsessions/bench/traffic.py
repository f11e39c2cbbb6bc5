"""Steady traffic: so many labs created a second, each ending a while later. What is owed goes into a ledger."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from time import time
from typing import Final

import msgspec

from labsessions.bench.flood import Outcome, Request, paced
from labsessions.bench.labs import CREATED, Requests, user_name
from labsessions.bench.ledger import Ledger, Record
from labsessions.bench.load import Answer, Pool
from labsessions.bench.stage import API_TOKEN
from labsessions.children import Child

POLL_SECONDS: Final = 0.1
SECONDS_PER_MINUTE: Final = 60


class _Data(msgspec.Struct):
    lab_request_id: str
    expires_at: datetime


class _Created(msgspec.Struct):
    data: _Data


_decoder: Final = msgspec.json.Decoder(_Created)


async def steady(
    service: Child, ledger: Ledger, *, group: str, per_second: int, seconds: float, lab_seconds: float
) -> Outcome:
    """Create for so long; the deadline of each answer goes into the ledger. Returns with the last answer."""

    def created(_: Request, answer: Answer) -> None:
        if answer.status == CREATED:
            data = _decoder.decode(answer.body).data
            ledger.expect(data.lab_request_id, round(data.expires_at.timestamp() * 1000))

    pool = Pool(service.url)
    try:
        return await paced(
            pool, _creates(service, group, round(per_second * seconds), lab_seconds), per_second, created
        )
    finally:
        pool.close()


def _creates(service: Child, group: str, count: int, lab_seconds: float) -> Iterator[Request]:
    to_send = Requests(service.url, API_TOKEN)
    return (to_send.create(user_name(group, number), lab_seconds / SECONDS_PER_MINUTE) for number in range(count))


async def deleted(record: Record, vms: int, seconds: float) -> bool:
    """Wait until so many VMs are gone, at most so long; whether they are."""
    try:
        async with asyncio.timeout(seconds):
            while (await record.counts()).vms_deleted < vms:  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


async def take_into(ledger: Ledger, record: Record) -> None:
    """Read on in the mock backend's record."""
    for call in await record.take():
        ledger.note(call)


def now_ms() -> int:
    """The wall clock, in ms since 1970 UTC: deadlines and the mock backend's record are told by it."""
    return int(time() * 1000)

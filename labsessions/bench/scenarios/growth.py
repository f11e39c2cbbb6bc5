"""Whether a full store is slower than a nearly empty one: create, and get of sessions that sleep and that are awake."""

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

from labsessions.bench.figures import Figure, Result, at_most, more
from labsessions.bench.flood import Outcome, flood
from labsessions.bench.labs import Requests, user_name
from labsessions.bench.scenarios.waiting import USERS, filled
from labsessions.bench.stage import API_TOKEN, Stage

SLOWER: Final = 1.3
AGAIN: Final = 3  # rounds over the users that are awake
KINDS: Final = ("create", "get, asleep", "get, awake")

Store = str


async def growth(stage: Stage) -> Result:
    """Rounds on both stores by turns. Each begins with a fresh service, in whose memory no session is yet."""
    sizes = stage.sizes
    stores = {"few": await filled(stage, "few", sizes.few), "many": await filled(stage, "many", sizes.waiting)}
    seen: dict[tuple[Store, str], list[Outcome]] = defaultdict(list)
    for number in range(sizes.growth_rounds):
        # Of the full store others in each round, so that their pages aren't the ones that were just in use.
        at = {"few": 0, "many": number * sizes.few % sizes.waiting}
        # Whichever is second finds the machine warmer: each is first in turn.
        for store in sorted(stores, reverse=number % 2 == 1):
            for kind, outcome in (await _round(stage, stores[store], number, at[store])).items():
                seen[store, kind].append(outcome)
    return Result(
        name="growth",
        title=f"{sizes.waiting:,} stored against {sizes.few:,}",
        figures=[figure for kind in KINDS for figure in _figures(kind, seen["few", kind], seen["many", kind])],
        faults=[
            fault
            for (store, kind), outcomes in seen.items()
            for outcome in outcomes
            for fault in outcome.faults(f"{kind} ({store})")
        ],
        notes=[f"medians of {sizes.growth_rounds} rounds, each in a fresh service"],
    )


async def _round(stage: Stage, data: Path, number: int, first: int) -> dict[str, Outcome]:
    sizes = stage.sizes
    sleeping = [user_name(USERS, first + each) for each in range(sizes.few)]
    new = [user_name(f"new-{number}", each) for each in range(sizes.growth_requests)]
    async with stage.backend() as backend, stage.service(data, backend) as service:
        to_send = Requests(service.url, API_TOKEN)
        # Warms up what every service has to, but no session that is measured.
        await flood(service.url, [to_send.create(user_name(f"warm-{number}", each)) for each in range(sizes.few)])
        outcomes = {
            "create": await flood(service.url, [to_send.create(user) for user in new]),
            "get, asleep": await flood(service.url, [to_send.get(user) for user in sleeping]),
            "get, awake": await flood(service.url, [to_send.get(user) for user in sleeping] * AGAIN),
        }
        # The small store stays small, and the full one as full as it was.
        for group, size in ((f"warm-{number}", sizes.few), (f"new-{number}", sizes.growth_requests)):
            await flood(service.url, [to_send.delete(user_name(group, each)) for each in range(size)])
    return outcomes


def _figures(kind: str, few: list[Outcome], many: list[Outcome]) -> list[Figure]:
    pairs = zip(few, many, strict=True)
    slower = median(small.per_second / full.per_second for small, full in pairs)
    return [
        more(f"{kind}: few", median(each.per_second for each in few), "/s"),
        more(f"{kind}: many", median(each.per_second for each in many), "/s"),
        at_most(f"{kind}: few / many", slower, "×", SLOWER),
    ]

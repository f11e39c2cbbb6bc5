"""How large the scenarios are: the full run of the targets, and a quick one of about a minute for work on the code."""

from msgspec import Struct


class Sizes(Struct, frozen=True, kw_only=True):
    """Numbers of sessions and requests, and seconds."""

    rounds: int
    requests: int  # of each kind, in each round
    herds: tuple[int, ...]
    lateness_seconds: int
    waiting: int
    idle_seconds: int
    overdue: int
    few: int  # the small store of the comparison with the one of `waiting`
    growth_rounds: int
    growth_requests: int
    long_per_second: int
    long_minutes: float
    single: int  # sessions one after the other, to see what one costs


FULL = Sizes(
    rounds=5,
    requests=10_000,
    herds=(10_000, 100_000),
    lateness_seconds=40,
    waiting=1_000_000,
    idle_seconds=30,
    overdue=1_000,
    few=1_000,
    growth_rounds=3,
    growth_requests=3_000,
    long_per_second=500,
    long_minutes=10,
    single=10,
)

QUICK = Sizes(
    rounds=3,
    requests=2_000,
    herds=(1_000,),
    lateness_seconds=8,
    waiting=20_000,
    idle_seconds=4,
    overdue=100,
    few=1_000,
    growth_rounds=1,
    growth_requests=1_000,
    long_per_second=200,
    long_minutes=0.2,
    single=10,
)

"""The sections of the settings: every setting with its default, its range and one sentence.

`config/default.toml` repeats them for operators. This module only says what a valid value is. It must not read files
or the environment: see `sources`.
"""

from pydantic import BaseModel, ConfigDict, Field

from labsessions.settings.fields import (
    Float,
    Format,
    GoneStatuses,
    Int,
    LeadMinutes,
    Level,
    ManualDelete,
    Origins,
    UrlPath,
    WebUrl,
)

DAY_S = 86_400
MIB = 1_048_576
MINUTE_MS = 60_000
SHORTEST_S = 0.01  # ten milliseconds: shorter times are lost in the noise of a busy event loop
# Ten years: far above any lab, far below the year 9999, where dates end.
LONGEST_LAB_MINUTES = 10 * 366 * 24 * 60


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Api(_Section):
    """What clients may ask for."""

    max_body_bytes: Int = Field(
        default=262_144, ge=1024, le=16 * MIB, description="The largest request body in bytes (1024 to 16777216)."
    )
    max_duration_minutes: Float = Field(
        default=43_200,
        gt=0,
        le=LONGEST_LAB_MINUTES,
        description="The longest duration of a lab in minutes (30 days; above 0, at most 5270400).",
    )
    max_total_minutes: Float = Field(
        default=0,
        ge=0,
        le=LONGEST_LAB_MINUTES,
        description="The longest duration with all extensions in minutes (0 to 5270400; 0 is max_duration_minutes).",
    )
    cors_origins: Origins = Field(
        default=("*",),
        description='The browser origins that may call the API, e.g. "https://labs.example"; "*" is any.',
    )
    rate_per_second: Float = Field(
        default=0,
        ge=0,
        le=100_000,
        description="How many requests each caller may make per second (0 to 100000; 0 is no limit).",
    )
    rate_burst: Int = Field(
        default=20, ge=1, le=100_000, description="How many of them may come at once after a pause (1 to 100000)."
    )

    @property
    def total_limit_minutes(self) -> float:
        """The limit in force of all that a lab may last."""
        return self.max_total_minutes or self.max_duration_minutes


class Jwt(_Section):
    """How tokens of users are checked; a key for HS256 is a secret, JWT_HS256_KEY."""

    jwks_url: WebUrl = Field(
        default="", description="Where the identity provider publishes its public keys; empty is none."
    )
    issuer: str = Field(default="", description="What `iss` must be; needed if users have tokens.")
    audience: str = Field(default="", description="What `aud` must have in it; needed if users have tokens.")


class Backend(_Section):
    """How the lab backend is called; its address and token are secrets."""

    call_timeout_seconds: Float = Field(
        default=15, ge=SHORTEST_S, le=600, description="The longest that one call may take in seconds (0.01 to 600)."
    )
    quick_retries: Int = Field(
        default=2, ge=0, le=10, description="How often a failed call is repeated at once, inside one attempt (0 to 10)."
    )
    max_response_bytes: Int = Field(
        default=65_536, ge=0, le=16 * MIB, description="How much of an answer is read, in bytes (0 to 16777216)."
    )
    list_path: UrlPath = Field(
        default="", description='The path of the backend\'s list of VMs, e.g. "/api/v1/labs"; empty is none.'
    )
    # The reasons of the three numbers are with `actors.breaker.BreakerLimits`.
    breaker_failures: Int = Field(
        default=5,
        ge=0,
        le=1000,
        description="So many attempts in a row without an answer open the circuit breaker (0 to 1000; 0 is off).",
    )
    breaker_pause_seconds: Float = Field(
        default=5,
        ge=SHORTEST_S,
        le=3600,
        description="From its opening to the first probe in seconds; it doubles from probe to probe (0.01 to 3600).",
    )
    breaker_longest_pause_seconds: Float = Field(
        default=60,
        ge=SHORTEST_S,
        le=3600,
        description="The longest pause between probes, never above half of the retry interval (0.01 to 3600).",
    )


class Cleanup(_Section):
    """How ended sessions are cleaned up."""

    retry_interval_seconds: Float = Field(
        default=300,
        ge=SHORTEST_S,
        le=DAY_S,
        description="From a failed attempt to the next one in seconds (0.01 to 86400).",
    )
    retry_spread: Float = Field(
        default=0.1,
        ge=0,
        le=0.1,
        description="The largest share of the interval added per session, so that retries don't meet (0 to 0.1).",
    )
    attempt_timeout_seconds: Float = Field(
        default=60,
        ge=SHORTEST_S,
        le=3600,
        description="The longest that an attempt may take in seconds, never above half of the interval (0.01 to 3600).",
    )
    stuck_after_attempts: Int = Field(
        default=12, ge=1, le=1_000_000, description="The failed attempt that labels a session as stuck (1 to 1000000)."
    )
    # Two at least: retries hold at most half of the slots (CONTRACT §3.6), and half of one is none.
    concurrency: Int = Field(
        default=64, ge=2, le=10_000, description="How many attempts run at the same time (2 to 10000)."
    )
    slow_after_seconds: Float = Field(
        default=0.5,
        ge=SHORTEST_S,
        le=3600,
        description="An attempt that takes longer than this gives its slot to others (0.01 to 3600 seconds).",
    )
    slow_concurrency: Int = Field(
        default=128,
        ge=0,
        le=10_000,
        description="How many slow attempts may go on beside the slots (0 to 10000; 0 is off).",
    )
    rate_per_second: Float = Field(
        default=0, ge=0, le=100_000, description="How many attempts may start per second (0 to 100000; 0 is no limit)."
    )
    gone_statuses: GoneStatuses = Field(
        default=(410,), description="The backend's answers that confirm a deletion like a 2xx does (each 400 to 599)."
    )

    manual_delete: ManualDelete = Field(
        default="cancel",
        description='What a DELETE leaves to the service: "cancel" nothing, "ensure" to make sure of the VMs.',
    )
    manual_delete_grace_seconds: Float = Field(
        default=60,
        ge=0,
        le=DAY_S,
        description='With "ensure": what the front end has for it before the service begins, in seconds (0 to 86400).',
    )

    @property
    def owed_after_ms(self) -> int | None:
        """The grace period in whole milliseconds; None with "cancel"."""
        return round(self.manual_delete_grace_seconds * 1000) if self.manual_delete == "ensure" else None

    @property
    def retry_interval_ms(self) -> int:
        """The interval in whole milliseconds."""
        return round(self.retry_interval_seconds * 1000)

    @property
    def attempt_limit_ms(self) -> int:
        """The limit in force: the timeout, but at most half of the interval, so that attempts cannot overlap."""
        return min(round(self.attempt_timeout_seconds * 1000), self.retry_interval_ms // 2)


class Warnings(_Section):
    """What learners are told before the end."""

    lead_minutes: LeadMinutes = Field(
        default=(5,),
        max_length=5,
        description="How many minutes before its end a session is warned of (up to 5 numbers, each 0.001 to 1440).",
    )

    @property
    def warn_before_ms(self) -> tuple[int, ...]:
        """The lead times in whole milliseconds, each once, the longest first."""
        return tuple(sorted({round(minutes * MINUTE_MS) for minutes in self.lead_minutes}, reverse=True))


class Storage(_Section):
    """What the data needs."""

    # SQLite's log alone takes 4 MiB and more while it is folded back; the rest is time for somebody to notice.
    min_free_mib: Int = Field(
        default=64,
        ge=0,
        le=1_048_576,
        description="Less room for the data than this is a problem in health, in MiB (0 to 1048576; 0 is off).",
    )

    @property
    def min_free_bytes(self) -> int:
        """The same in bytes."""
        return self.min_free_mib * MIB


class Events(_Section):
    """What is kept of what has happened, and how it is followed."""

    retention_days: Float = Field(
        default=7, ge=0, le=3660, description="How long events are kept, in days (0 to 3660; 0 is for ever)."
    )
    # Proxies close what is silent for a minute; browsers, some networks earlier.
    heartbeat_seconds: Float = Field(
        default=15,
        ge=SHORTEST_S,
        le=3600,
        description="From one sign of life of a stream of events to the next, in seconds (0.01 to 3600).",
    )
    streams_per_user: Int = Field(
        default=10, ge=1, le=10_000, description="How many streams of its events a user may have open (1 to 10000)."
    )


class History(_Section):
    """What is kept of the sessions that have ended."""

    retention_days: Float = Field(
        default=365,
        ge=0,
        le=3660,
        description="How long the history of ended sessions is kept, in days (0 to 3660; 0 is for ever).",
    )


class Actors(_Section):
    """What stays in memory."""

    idle_seconds: Float = Field(
        default=10, ge=0, le=DAY_S, description="How long an idle session stays in memory, in seconds (0 to 86400)."
    )
    max_resident: Int = Field(
        default=10_000, ge=1, le=10_000_000, description="How many sessions stay in memory at most (1 to 10000000)."
    )


class Clock(_Section):
    """When the machine's clock is not trusted."""

    # The reasons of both numbers are with `actors.clock_guard.GuardLimits`.
    largest_step_seconds: Float = Field(
        default=600,
        ge=0,
        le=10 * 366 * DAY_S,
        description="A larger step of the clock forward makes wake-ups wait (0 to 316224000 seconds; 0 is off).",
    )
    hold_seconds: Float = Field(
        default=900,
        ge=0,
        le=7 * DAY_S,
        description="How long they wait if nobody confirms the clock or sets it, in seconds (0 to 604800).",
    )


class Metrics(_Section):
    """What is told to Prometheus."""

    open: bool = Field(default=False, description="Whether /metrics needs no token.")


class Log(_Section):
    """What is logged, and how it looks."""

    level: Level = Field(
        default="info", description="The least important level that is logged: debug, info, warning, error or critical."
    )
    format: Format = Field(
        default="auto",
        description='"console" for people, "json" for machines, "auto" for console on a terminal, else JSON.',
    )

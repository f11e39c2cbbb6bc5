"""What an operator may choose about the front door. Values only; they are read from the settings elsewhere."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """The front door's settings; ValueError for an empty token, which an empty `Bearer` would match.

    `tokens`: any one of them opens the API, for all users; `admin_tokens`: what operators do as well. With none at all,
    and no users' tokens either, the door is open. `rate_per_second` (0: no limit) and `rate_burst` are for each caller.
    `cors_origins`: `*` or a list of origins. `idle_seconds`: how long a connection may be silent, or a head take.
    `body_seconds`: how long a body may take; `send_seconds`: how long a client may take to accept an event.
    `heartbeat_seconds`: from one sign of life of a stream of events to the next. `streams_per_user`: open at a time.
    `not_configured`: names of settings that `/` reports as missing. `version`: of the service, shown at `/`.
    """

    version: str
    tokens: tuple[str, ...] = field(default=(), repr=False)  # secrets stay out of logs and tracebacks
    admin_tokens: tuple[str, ...] = field(default=(), repr=False)
    cors_origins: tuple[str, ...] = ("*",)
    rate_per_second: float = 0
    rate_burst: int = 20
    max_body_bytes: int = 262_144  # 256 KiB (CONTRACT §1); a session with a hundred workers has 20 KiB
    max_duration_minutes: float = 43_200  # 30 days: longer is a typing error, not a lab
    heartbeat_seconds: float = 15.0
    streams_per_user: int = 10
    not_configured: tuple[str, ...] = ()
    # Not for operators to choose: patience with whoever keeps a connection and says nothing, or says it very slowly.
    idle_seconds: float = 75.0  # between requests, and until the head of one is whole; proxies close theirs after 60
    body_seconds: float = 30.0  # for a body of 256 KiB, 9 KiB a second
    send_seconds: float = 30.0  # for a client to take an event; then its stream is cut, and it may come again

    def __post_init__(self) -> None:
        if not all((*self.tokens, *self.admin_tokens)):
            raise ValueError("an API token must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtOptions:
    """How tokens of users are checked: `iss`, what `aud` has in it, and either the URL of public keys or a secret.

    ValueError if one of them is missing: no key would be a key that everybody knows.
    """

    issuer: str
    audience: str
    jwks_url: str = ""
    hs256_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not (self.issuer and self.audience and bool(self.jwks_url) != bool(self.hs256_key)):
            raise ValueError("tokens of users need an issuer, an audience, and one of jwks_url and hs256_key")

"""What an operator may choose about the front door. Values only; they are read from the settings elsewhere."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """The front door's settings; ValueError for an empty token, which an empty `Bearer` would match.

    `tokens`: any one of them opens the door, none at all leaves it open. `cors_origins`: `*` or a list of origins.
    `not_configured`: names of settings that `/` reports as missing. `version`: of the service, shown at `/`.
    """

    version: str
    tokens: tuple[str, ...] = field(default=(), repr=False)  # secrets stay out of logs and tracebacks
    cors_origins: tuple[str, ...] = ("*",)
    max_body_bytes: int = 262_144  # 256 KiB (CONTRACT §1); a session with a hundred workers has 20 KiB
    max_duration_minutes: float = 43_200  # 30 days: longer is a typing error, not a lab
    not_configured: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(self.tokens):
            raise ValueError("an API token must not be empty")

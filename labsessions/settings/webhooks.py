"""The endpoints of webhooks, as `[[webhooks]]` has them in a config file. Their secrets are with the other secrets."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from labsessions.settings.fields import Float, WebUrl, items
from labsessions.webhooks.messages import TYPES, USUAL

ALL: Final = "*"
DAY_MS: Final = 86_400_000
# Each is an actor, a connection and a reader of every event.
MOST: Final = 20


def _known(kind: str) -> str:
    if kind != ALL and kind not in TYPES:
        raise PydanticCustomError("event", 'must be "*" or one of {types}', {"types": ", ".join(TYPES)})
    return kind


def _given(url: str) -> str:
    if not url:
        raise PydanticCustomError("url", "must be the address of the endpoint")
    return url


Events = Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], BeforeValidator(items), Field(min_length=1)]


class Webhook(BaseModel):
    """One endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,31}$",
        description="What it is called: small letters, digits and hyphens. Its secret is WEBHOOK_<NAME>_SECRET.",
    )
    url: Annotated[WebUrl, AfterValidator(_given)] = Field(description="Where events are posted to.")
    events: Events = Field(default=USUAL, description='Which events; "*" is all there are.')
    start: Literal["now", "beginning"] = Field(
        default="now", alias="from", description="Where a new endpoint begins: now, or with the oldest event stored."
    )
    timeout_seconds: Float = Field(
        default=15, ge=0.01, le=60, description="The longest that one call may take, in seconds (0.01 to 60)."
    )
    # Not 0: so the dead letters of an endpoint that is down for long stay few.
    give_up_days: Float = Field(
        default=2,
        ge=0.01,
        le=30,
        description="How long an event is tried before it is a dead letter, in days (0.01 to 30).",
    )

    @property
    def types(self) -> frozenset[str]:
        """The types in full."""
        return frozenset(TYPES if ALL in self.events else self.events)

    @property
    def give_up_ms(self) -> int:
        """The same in whole milliseconds."""
        return round(self.give_up_days * DAY_MS)


def _each_once(webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
    if len({webhook.name for webhook in webhooks}) < len(webhooks):
        raise PydanticCustomError("twice", "each name may be there once")
    return webhooks


Webhooks = Annotated[tuple[Webhook, ...], BeforeValidator(items), Field(max_length=MOST), AfterValidator(_each_once)]

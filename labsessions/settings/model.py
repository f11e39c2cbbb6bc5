"""All settings of one run: those that belong to no section, the sections, and what is wrong between them.

Like `sections` it only says what a valid value is, and must not read files or the environment.
"""

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from labsessions.core.policy import Policy
from labsessions.settings.fields import Float, Host, Int
from labsessions.settings.secrets import Secrets, of_webhook
from labsessions.settings.sections import (
    Actors,
    Api,
    Backend,
    Cleanup,
    Clock,
    Events,
    History,
    Jwt,
    Log,
    Metrics,
    Storage,
    Warnings,
)
from labsessions.settings.webhooks import Webhooks


class Settings(BaseSettings):
    """All settings of one run. Frozen; its `repr` and its dump show no secret.

    `Settings(port=0, cleanup=Cleanup(retry_interval_seconds=1))` takes what is passed and the defaults, nothing
    else; `load` is what reads flags, environment and files.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    # Secrets, `insecure` and `jwt` stand first: what is validated later (`host`) may look at what stands before.
    secrets: Secrets = Field(
        default=Secrets(), description="From the environment or files, never from the config file."
    )
    insecure: bool = Field(default=False, description="Listen on any address even without a token.")
    jwt: Jwt = Jwt()
    host: Host = Field(
        default="127.0.0.1",
        description="The address to listen on; without a token a loopback address.",
    )
    port: Int = Field(
        default=8787, ge=0, le=65_535, description="The port to listen on (0 to 65535; 0 chooses a free one)."
    )
    data_dir: Path = Field(
        default=Path("data"), description="The folder that holds all data; one process at a time uses it."
    )
    ready_file: Path | None = Field(
        default=None, description="The file to write the address to once requests are accepted; empty is none."
    )
    # CONTRACT §5: SIGTERM is answered within 10 s.
    shutdown_seconds: Float = Field(
        default=10,
        ge=0,
        le=10,
        description="The longest that a stop may wait for what is in flight, in seconds (0 to 10).",
    )
    api: Api = Api()
    backend: Backend = Backend()
    cleanup: Cleanup = Cleanup()
    warnings: Warnings = Warnings()
    storage: Storage = Storage()
    events: Events = Events()
    history: History = History()
    actors: Actors = Actors()
    clock: Clock = Clock()
    metrics: Metrics = Metrics()
    log: Log = Log()
    webhooks: Webhooks = Field(default=(), description="Where events are sent to; see the page on webhooks.")

    @field_validator("jwt")
    @classmethod
    def _one_key_for_one_purpose(cls, jwt: Jwt, info: ValidationInfo) -> Jwt:
        """Tokens that the provider made for others, or that others made, must open nothing here."""
        secrets: Secrets | None = info.data.get("secrets")  # None if faulty itself; that is reported on its own
        shared = secrets is not None and secrets.jwt_key is not None
        if shared and jwt.jwks_url:
            raise PydanticCustomError("two_keys", "set either JWT_HS256_KEY or jwt.jwks_url, not both")
        if (shared or jwt.jwks_url) and not (jwt.issuer and jwt.audience):
            raise PydanticCustomError("whose", "tokens of users need jwt.issuer and jwt.audience as well")
        return jwt

    @field_validator("host")
    @classmethod
    def _loopback_without_token(cls, host: str, info: ValidationInfo) -> str:
        """Without a token anyone who reaches the port may delete labs; so only this machine reaches it."""
        known: dict[str, Any] = info.data  # lacks what is faulty itself; that is reported on its own
        told = {"secrets", "jwt"} <= known.keys() and known.get("insecure") is False
        if told and not is_guarded(known["secrets"], known["jwt"]) and not is_loopback(host):
            raise PydanticCustomError(
                "loopback",
                "without a token only loopback addresses are allowed; set API_TOKEN or pass --insecure",
            )
        return host

    @field_validator("webhooks")
    @classmethod
    def _signed(cls, webhooks: Webhooks, info: ValidationInfo) -> Webhooks:
        """Nobody could tell an unsigned event from a forged one."""
        secrets: Secrets | None = info.data.get("secrets")
        for webhook in webhooks:
            if secrets is not None and webhook.name not in secrets.webhooks:
                wanted = {"name": webhook.name, "variable": of_webhook(webhook.name)}
                raise PydanticCustomError("unsigned", "{name} needs its secret: set {variable}", wanted)
        return webhooks

    @property
    def users_have_tokens(self) -> bool:
        """Whether users may come with tokens of their own."""
        return bool(self.jwt.jwks_url) or self.secrets.jwt_key is not None

    def policy(self) -> Policy:
        """The numbers that the core decides by."""
        return Policy(
            max_total_minutes=self.api.total_limit_minutes,
            retry_interval_ms=self.cleanup.retry_interval_ms,
            attempt_limit_ms=self.cleanup.attempt_limit_ms,
            spread=self.cleanup.retry_spread,
            stuck_after=self.cleanup.stuck_after_attempts,
            owed_after_ms=self.cleanup.owed_after_ms,
            warn_before_ms=self.warnings.warn_before_ms,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: the process's environment is never read behind the caller's back."""
        return (init_settings,)


def is_guarded(secrets: Secrets, jwt: Jwt) -> bool:
    """Whether any credential is asked for."""
    return bool(secrets.api_tokens or secrets.admin_tokens or secrets.jwt_key or jwt.jwks_url)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address for sure."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # another name may resolve to anything

"""What each part gets of the settings, in the part's own terms; and what an operator is told of them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from actors.admission import Limits
from actors.breaker import BreakerLimits
from labsessions import __version__
from labsessions.backend import BackendSettings
from labsessions.http.options import ApiOptions, JwtOptions
from labsessions.settings import Secrets, Settings
from labsessions.settings.model import is_loopback
from labsessions.webhooks.sender import Endpoint


def limits(settings: Settings) -> Limits:
    """How many cleanup attempts at once."""
    cleanup = settings.cleanup
    return Limits(
        slots=cleanup.concurrency,
        slow_after_seconds=cleanup.slow_after_seconds,
        slow_slots=cleanup.slow_concurrency,
        rate_per_second=cleanup.rate_per_second,
    )


def breaker(settings: Settings) -> BreakerLimits:
    """Whoever wants to try again soon doesn't want to wait long for a probe."""
    longest_seconds = min(settings.backend.breaker_longest_pause_seconds, settings.cleanup.retry_interval_seconds / 2)
    return BreakerLimits(
        failures=settings.backend.breaker_failures,
        pause_seconds=min(settings.backend.breaker_pause_seconds, longest_seconds),
        longest_pause_seconds=longest_seconds,
    )


def backend(settings: Settings) -> BackendSettings:
    """Where the backend is and how it is called."""
    secrets, calls, cleanup = settings.secrets, settings.backend, settings.cleanup
    return BackendSettings(
        url=secrets.backend_api_url,
        token=None if secrets.backend_api_token is None else secrets.backend_api_token.get_secret_value(),
        call_timeout_seconds=calls.call_timeout_seconds,
        gone_statuses=cleanup.gone_statuses,
        quick_retries=calls.quick_retries,
        max_response_bytes=calls.max_response_bytes,
        max_connections=0,  # an attempt makes one call at a time, and admission bounds the attempts
    )


def api(settings: Settings, missing: tuple[str, ...]) -> ApiOptions:
    """Of the front door; `missing` are names of settings."""
    return ApiOptions(
        version=__version__,
        tokens=tuple(token.get_secret_value() for token in settings.secrets.api_tokens),
        admin_tokens=tuple(token.get_secret_value() for token in settings.secrets.admin_tokens),
        cors_origins=settings.api.cors_origins,
        rate_per_second=settings.api.rate_per_second,
        rate_burst=settings.api.rate_burst,
        max_body_bytes=settings.api.max_body_bytes,
        max_duration_minutes=settings.api.max_duration_minutes,
        heartbeat_seconds=settings.events.heartbeat_seconds,
        streams_per_user=settings.events.streams_per_user,
        not_configured=missing,
    )


def jwt(settings: Settings) -> JwtOptions:
    """How tokens of users are checked."""
    key, tokens = settings.secrets.jwt_key, settings.jwt
    return JwtOptions(
        issuer=tokens.issuer,
        audience=tokens.audience,
        jwks_url=tokens.jwks_url,
        hs256_key="" if key is None else key.get_secret_value(),
    )


def signing(settings: Settings) -> dict[str, list[str]]:
    """The secrets of each webhook."""
    secrets = settings.secrets.webhooks
    return {name: [secret.get_secret_value() for secret in each] for name, each in secrets.items()}


def endpoints(settings: Settings) -> list[Endpoint]:
    """Where webhooks are sent to."""
    return [
        Endpoint(
            name=webhook.name,
            url=webhook.url,
            events=webhook.types,
            from_beginning=webhook.start == "beginning",
            timeout_seconds=webhook.timeout_seconds,
            give_up_ms=webhook.give_up_ms,
        )
        for webhook in settings.webhooks
    ]


def risks(settings: Settings) -> Iterator[str]:
    """What an operator may have chosen without meaning it."""
    if settings.users_have_tokens and "*" in settings.api.cors_origins:
        yield "users have tokens, and pages of any origin may use them: set api.cors_origins to your front end's origin"
    url = urlsplit(settings.jwt.jwks_url)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield "jwt.jwks_url is not https: whoever is on the way to it can make tokens of any user"
    for webhook in settings.webhooks:
        url = urlsplit(webhook.url)
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield f"the webhook {webhook.name} is not https: whoever is on the way to it can read events of users"


def not_configured(secrets: Secrets) -> tuple[str, ...]:
    """The names of what nothing is cleaned up without."""
    wanted = {"BACKEND_API_URL": secrets.backend_api_url, "BACKEND_API_TOKEN": secrets.backend_api_token}
    return tuple(name for name, value in wanted.items() if value is None)

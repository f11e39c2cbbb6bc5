"""Which settings may change while the service runs, and what a new reading of them comes to.

This is the one list; whoever owns a setting takes the new value by its `reconfigure`, see `bootstrap`.
"""

from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from labsessions.settings.model import Settings
from labsessions.settings.secrets import FIELDS, of_webhook
from labsessions.settings.sources import Key, SettingsError, keys

WHILE_RUNNING: Final[frozenset[Key]] = frozenset(
    {
        ("api", "cors_origins"),
        ("api", "rate_per_second"),
        ("api", "rate_burst"),
        ("backend", "call_timeout_seconds"),
        ("backend", "quick_retries"),
        ("backend", "max_response_bytes"),
        ("backend", "breaker_failures"),
        ("backend", "breaker_pause_seconds"),
        ("backend", "breaker_longest_pause_seconds"),
        ("cleanup", "concurrency"),
        ("cleanup", "slow_after_seconds"),
        ("cleanup", "slow_concurrency"),
        ("cleanup", "rate_per_second"),
        ("cleanup", "gone_statuses"),
        ("storage", "min_free_mib"),
        ("events", "retention_days"),
        ("events", "heartbeat_seconds"),
        ("events", "streams_per_user"),
        ("history", "retention_days"),
        ("log", "level"),
    }
)


class Reading(NamedTuple):
    """What a new reading comes to.

    `settings`: those to be in force from now on. `changed`: the names of what differs from before. `need_restart`: the
    names of what is written differently from what is in force, and stays as it is until the next start.
    """

    settings: Settings
    changed: tuple[str, ...]
    need_restart: tuple[str, ...]


def combine(in_force: Settings, read: Settings) -> Reading:
    """All secrets and what is in WHILE_RUNNING as it was `read`, all else as it is `in_force`.

    Raises SettingsError if these don't go together, though each did by itself.
    """
    differing = [key for key in keys() if _value(in_force, key) != _value(read, key)]
    renewed = [key for key in differing if key in WHILE_RUNNING]
    values: dict[str, Any] = {name: getattr(in_force, name) for name in Settings.model_fields}
    values["secrets"] = read.secrets
    for section, name in renewed:
        values[section] = values[section].model_copy(update={name: _value(read, (section, name))})
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults = [_fault(details) for details in error.errors(include_url=False, include_input=False)]
        raise SettingsError(faults) from None  # the cause would show the values of secrets
    before, after = in_force.secrets, read.secrets
    secrets = [name for name, field in FIELDS.items() if getattr(before, field) != getattr(after, field)]
    signing = sorted({*before.webhooks, *after.webhooks})
    secrets += [of_webhook(each) for each in signing if before.webhooks.get(each) != after.webhooks.get(each)]
    return Reading(
        settings,
        changed=(*secrets, *(".".join(key) for key in renewed)),
        need_restart=tuple(".".join(key) for key in differing if key not in WHILE_RUNNING),
    )


def _value(settings: Settings, key: Key) -> Any:
    value: Any = settings
    for name in key:
        value = getattr(value, name)
    return value


def _fault(details: Any) -> str:
    where = ".".join(str(part) for part in details["loc"])
    return f"{where}: with what is in force until a restart: {details['msg']}"

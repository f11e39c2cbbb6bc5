"""The settings that a start would have, one by one, each with where it comes from. Secrets are masked."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from labsessions.settings import secrets, sources
from labsessions.settings.load import load
from labsessions.settings.webhooks import Webhook
from labsessions.webhooks.address import without_secrets

DEFAULT: Final = "default"
MASK: Final = "********"


class Effective(NamedTuple):
    """A setting: its name, its value as JSON has it (of a secret a mask, None if it isn't set), and the place."""

    key: str
    value: Any
    origin: str | None


def effective(flags: Mapping[str, Any], environ: Mapping[str, str], config_file: Path | None) -> list[Effective]:
    """All of them, secrets last. Raises SettingsError, as `load` does with these."""
    settings = load(flags, environ, config_file)
    if config_file is None and (named := environ.get(sources.CONFIG)):
        config_file = Path(named)
    layers = (sources.flags_layer(flags), sources.environment_layer(environ), sources.file_layer(config_file))

    def origin(key: sources.Key) -> str:
        return next((found[1] for layer in layers if (found := layer.get(key))), DEFAULT)

    plain = [Effective(".".join(key), _plain(_at(settings, key)), origin(key)) for key in sources.keys()]  # noqa: SIM118 - a function
    return [*plain, *_secrets(settings.secrets, environ, settings.data_dir)]


def _secrets(values: secrets.Secrets, environ: Mapping[str, str], data_dir: Path) -> Iterator[Effective]:
    for name, field in secrets.FIELDS.items():
        found = secrets.find(name, environ, data_dir)
        value = getattr(values, field)
        yield Effective(name, _masked(value), None if found is None else found.origin)
    for webhook, each in values.webhooks.items():
        name = secrets.of_webhook(webhook)
        found = secrets.find(name, environ, data_dir)
        yield Effective(name, _masked(each), None if found is None else found.origin)


def _masked(value: Any) -> Any:
    """An address is no secret, and has none in it; of tokens only how many there are."""
    match value:
        case None | ():
            return None
        case SecretStr():
            return MASK
        case tuple():
            return ", ".join([MASK] * len(value))
        case _:
            return value


def _at(settings: Any, key: sources.Key) -> Any:
    for name in key:
        settings = getattr(settings, name)
    return settings


def _plain(value: Any) -> Any:
    match value:
        case Path():
            return str(value)
        case tuple():
            return [_plain(each) for each in value]
        case Webhook():
            return value.model_dump(mode="json") | {"url": without_secrets(value.url)}
        case _:
            return value

"""Puts the layers together: flag, environment, config file, default; and reports all that is wrong at once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from labsessions.settings import secrets, sources
from labsessions.settings.model import Settings
from labsessions.settings.sources import Layer, SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Where pydantic's own words show a Python class.
MESSAGES = {"path_type": "input should be a path"}
CREDENTIALS_IN_URL = re.compile(r"//[^/\s]*@")  # refused, and no reason to show them
DEFAULT_DATA_DIR = Settings.model_fields["data_dir"].default
LONGEST_VALUE = 80  # of a wrong value in a message: enough to recognise it


def load(flags: Mapping[str, Any], environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """The settings of this run: the first of flag, environment, config file and default that says something.

    `flags` are top-level settings by name (`data_dir`, not `data-dir`), None where a flag was not given.
    `environ` is all that is read of the environment. Without `config_file` LABSESSIONS_CONFIG names it.

    Raises SettingsError, which names every fault and no secret.
    """
    plain = _plain(flags, environ, config_file)
    layers = (*plain, sources.secrets_layer(environ, _data_dir(plain), sources.webhook_names(plain)))
    faults = [fault for layer in layers for fault in layer.faults]
    # pydantic-settings' own seam: it merges these layers and reads nothing else. (By `**`: mypy sees fields only.)
    sources_only: dict[str, Any] = {"_build_sources": (layers, {})}
    try:
        settings = Settings(**sources_only)
    except ValidationError as error:
        faults.extend(_fault(details, layers) for details in error.errors(include_url=False, include_input=False))
    if faults:
        raise SettingsError(faults) from None  # the cause would show the values of secrets
    return settings


def find_data_dir(flags: Mapping[str, Any], environ: Mapping[str, str], config_file: Path | None = None) -> Path:
    """The `data_dir` that `load` would find, whatever the secrets are. Raises SettingsError."""
    layers = _plain(flags, environ, config_file)
    if faults := [fault for layer in layers for fault in layer.faults]:
        raise SettingsError(faults)
    found = _data_dir(layers)
    if found is None:
        raise SettingsError(["data_dir: input should be a path"])
    return found


def secret_names(flags: Mapping[str, Any], environ: Mapping[str, str], config_file: Path | None = None) -> list[str]:
    """The names of all secrets that there may be, those of the webhooks that are set up among them."""
    return [*secrets.FIELDS, *map(secrets.of_webhook, sources.webhook_names(_plain(flags, environ, config_file)))]


def _plain(
    flags: Mapping[str, Any], environ: Mapping[str, str], config_file: Path | None
) -> tuple[Layer, Layer, Layer]:
    """All layers but that of the secrets."""
    if config_file is None and (named := environ.get(sources.CONFIG)):
        config_file = Path(named)
    return sources.flags_layer(flags), sources.environment_layer(environ), sources.file_layer(config_file)


def _data_dir(layers: Sequence[Layer]) -> Path | None:
    """Where secrets may lie; None if the setting is faulty, which is reported on its own."""
    found = next((found[0] for layer in layers if (found := layer.get(("data_dir",)))), DEFAULT_DATA_DIR)
    return Path(found) if isinstance(found, str | Path) else None


def _fault(details: "ErrorDetails", layers: Sequence[Layer]) -> str:
    """One line: which setting, its value unless secret, where it was found, and what was expected."""
    location = details["loc"]
    key = tuple(part for part in location if isinstance(part, str))
    index = next((part for part in location if isinstance(part, int)), None)
    message = MESSAGES.get(details["type"], details["msg"])
    what = message[0].lower() + message[1:]
    if index is not None:
        what = f"item {index + 1}: {what}"
    found = next((found for layer in layers if (found := layer.get(key))), None)
    if found is None or key[0] == "webhooks":  # a section as a whole; and addresses of webhooks often hold a key
        return f"{'.'.join(key)}: {what}"
    value, origin = found
    if key[0] == "secrets":
        name = _variable(key)
        return f"{name}: {what}" if origin == name else f"{name} from {origin}: {what}"
    shown = CREDENTIALS_IN_URL.sub("//…@", repr(value))
    if len(shown) > LONGEST_VALUE:
        shown = shown[:LONGEST_VALUE] + "…"
    return f"{'.'.join(key)} = {shown} from {origin}: {what}"


def _variable(key: tuple[str, ...]) -> str:
    if key[1] == "webhooks":
        return secrets.of_webhook(key[2])
    return next(name for name, filled in secrets.FIELDS.items() if filled == key[1])

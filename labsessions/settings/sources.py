"""Where settings come from: flags, environment, config file, secrets – each is one layer, in this order.

A layer says what it holds and in which words to name the place; it knows the names of the settings, but not
what a valid value is: that is `sections`. Nothing here raises for a fault: faults are collected.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import PydanticBaseSettingsSource

from labsessions.settings import secrets
from labsessions.settings.fields import items
from labsessions.settings.model import Settings

PREFIX: Final = "LABSESSIONS_"
CONFIG: Final = f"{PREFIX}CONFIG"
# Where operators' commands find the service; no setting of it, but it may be set in the same shell.
URL: Final = f"{PREFIX}URL"

Key = tuple[str, ...]

# Names in a config file that can only mean a secret, or the address that the contract keeps with them.
SECRET_NAME = re.compile(r"token|secret|password|credential|api.?key|\bjwt.*key|ur[il]$", re.IGNORECASE)


class SettingsError(Exception):
    """The settings are wrong. `faults` has one line for each; the text has all of them. No secret is shown."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(["Wrong settings:", *(f"- {fault}" for fault in self.faults)])


class Layer(PydanticBaseSettingsSource):
    """What one source says: values by key, and where exactly each was found. The first layer that has a key wins."""

    def __init__(self) -> None:
        super().__init__(Settings)
        self._found: dict[Key, tuple[Any, str]] = {}
        self.faults: list[str] = []

    def add(self, key: Key, value: Any, origin: str) -> None:
        """Note a value; None and the empty string count as not set."""
        if value is not None and value != "":
            self._found[key] = (value, origin)

    def get(self, key: Key) -> tuple[Any, str] | None:
        """The value as it was found and the words for where, or None."""
        return self._found.get(key)

    def __call__(self) -> dict[str, Any]:
        """The values, nested as the model is."""
        nested: dict[str, Any] = {}
        for (*sections, name), (value, _) in self._found.items():
            into = nested
            for section in sections:
                into = into.setdefault(section, {})
            into[name] = value
        return nested

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Required by the base class; `__call__` has the values."""
        return None, field_name, False


def keys() -> list[Key]:
    """Every setting that a file or the environment may set, as `(section, name)` or `(name,)`."""
    found: list[Key] = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if name == "secrets":
            continue
        if isinstance(section, type) and issubclass(section, BaseModel):
            found.extend((name, inner) for inner in section.model_fields)
        else:
            found.append((name,))
    return found


def variable(key: Key) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(key).upper()


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def flags_layer(flags: Mapping[str, Any]) -> Layer:
    """The command line's: top-level settings by name. Pass None for a flag that was not given."""
    layer, known = Layer(), {_flag(key[0]): key for key in keys() if len(key) == 1}
    for name, value in flags.items():
        flag = _flag(name)
        if flag in known:
            layer.add(known[flag], value, flag)
        else:
            layer.faults.append(f"{flag}: unknown flag{_hint(flag, known)}")
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The variables that begin with LABSESSIONS_."""
    layer, known = Layer(), {variable(key): key for key in keys()}
    for name, value in environ.items():
        if name in known:
            layer.add(known[name], value, name)
        elif name.startswith(PREFIX) and name not in {CONFIG, URL}:
            layer.faults.append(f"{name}: unknown environment variable{_variable_hint(name, [*known, CONFIG])}")
    return layer


def secrets_layer(environ: Mapping[str, str], data_dir: Path | None, webhooks: Iterable[str] = ()) -> Layer:
    """The secrets, by the names that the contract gives them, and those of the webhooks of these names.

    `data_dir` may hold some.
    """
    layer = Layer()
    keys: dict[str, Key] = {name: ("secrets", field) for name, field in secrets.FIELDS.items()}
    keys |= {secrets.of_webhook(webhook): ("secrets", "webhooks", webhook) for webhook in webhooks}
    for name, key in keys.items():
        if found := secrets.find(name, environ, data_dir):
            layer.add(key, found.value, found.origin)
    return layer


def webhook_names(layers: Iterable[Layer]) -> list[str]:
    """The names in the first layer that has webhooks, as far as they can be read; what is wrong is told elsewhere."""
    value = next((found[0] for layer in layers if (found := layer.get(("webhooks",)))), ())
    with suppress(PydanticCustomError):
        value = items(value)
    named = [each.get("name") for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    return [name for name in named if isinstance(name, str)]


def file_layer(path: Path | None) -> Layer:
    """The config file's, if there is one."""
    layer = Layer()
    if path is None:
        return layer
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        layer.faults.append(f"config file {path}: cannot be read: {error.strerror}")
    except ValueError as error:  # TOML's and UTF-8's errors
        layer.faults.append(f"config file {path}: is not valid TOML: {error}")
    else:
        _fill(layer, document, path)
    return layer


def _fill(layer: Layer, document: Mapping[str, Any], path: Path) -> None:
    known = keys()
    sections = {key[0] for key in known if len(key) == 2}  # noqa: PLR2004 - (section, name)
    for name, value in document.items():
        if name in sections and not isinstance(value, dict):
            layer.faults.append(f"{name} in {path}: is a section, write [{name}]")
            continue
        inside = {(name, inner): each for inner, each in value.items()} if name in sections else {(name,): value}
        for key, each in inside.items():
            dotted = ".".join(key)
            if key in known and isinstance(each, dict):  # not shown: nobody knows what is in it
                wanted = "is a list, write [[webhooks]]" if key == ("webhooks",) else "is a value, not a section"
                layer.faults.append(f"{dotted} in {path}: {wanted}")
            elif key in known:
                layer.add(key, each, str(path))
            elif SECRET_NAME.search(dotted):
                layer.faults.append(f"{dotted} in {path}: {_refusal(dotted)}")
            else:
                hint = _hint(dotted, [".".join(known_key) for known_key in known])
                layer.faults.append(f"{dotted} in {path}: unknown key{hint}")


def _refusal(dotted: str) -> str:
    words = {"jwt": secrets.JWT_HS256_KEY, "backend": secrets.BACKEND_API_TOKEN, "admin": secrets.ADMIN_TOKEN}
    if re.search(r"ur[il]$", dotted, re.IGNORECASE):
        name = secrets.BACKEND_API_URL
    else:
        name = next((name for word, name in words.items() if word in dotted.lower()), secrets.API_TOKEN)
    return f"secrets don't belong in a config file; set {name} or {name}_FILE in the environment"


def _variable_hint(name: str, known: Iterable[str]) -> str:
    bare = name.removeprefix(PREFIX)  # the prefix alone would make any two names look alike
    if (secret := bare.replace("__", "_")) in secrets.FIELDS:
        return f"; did you mean {secret}?"
    return _hint(bare, (each.removeprefix(PREFIX) for each in known), PREFIX)


def _hint(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else ""

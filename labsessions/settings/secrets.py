"""The secrets: where they are read from and what a valid one is. They exist nowhere else in the settings.

A secret comes from the environment variable NAME, else from the file that NAME_FILE names, else from the file
NAME in `$CREDENTIALS_DIRECTORY` (systemd's LoadCredential), else from the file NAME in the folder `secrets` of the data
directory (`secrets set`). Empty counts as not set. A message about a secret names the variable and the file, and must
never show the value.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

BACKEND_API_URL: Final = "BACKEND_API_URL"
BACKEND_API_TOKEN: Final = "BACKEND_API_TOKEN"  # noqa: S105 - a variable's name
API_TOKEN: Final = "API_TOKEN"  # noqa: S105 - a variable's name
ADMIN_TOKEN: Final = "ADMIN_TOKEN"  # noqa: S105 - a variable's name
JWT_HS256_KEY: Final = "JWT_HS256_KEY"

# The field of `Secrets` that each variable fills.
FIELDS: Final = {
    BACKEND_API_URL: "backend_api_url",
    BACKEND_API_TOKEN: "backend_api_token",
    API_TOKEN: "api_tokens",
    ADMIN_TOKEN: "admin_tokens",
    JWT_HS256_KEY: "jwt_key",
}

# The secret of the webhook `ops`, by whose rules names are made: WEBHOOK_OPS_SECRET.
_OF_WEBHOOK: Final = "WEBHOOK_{}_SECRET"
# Below the data directory: what `secrets set` has stored.
FOLDER: Final = "secrets"

# What a header can carry without quoting: visible ASCII.
SENDABLE = re.compile(r"[!-~]+")
# RFC 7518, 3.2: a key at least as long as the hash. A shorter one can be guessed from any token that it signed.
SHORTEST_KEY_BYTES = 32
# How a public key begins. Anybody may have it, and could sign with it.
PUBLIC_KEY = re.compile(r"-----BEGIN |ssh-|ecdsa-|\{")


# Standard Webhooks: 24 to 64 bytes, in base64.
SHORTEST_SIGNING_BYTES = 24
LONGEST_SIGNING_BYTES = 64


def of_webhook(name: str) -> str:
    """The variable that has the secret of the webhook `name`."""
    return _OF_WEBHOOK.format(name.upper().replace("-", "_"))


class Unreadable(NamedTuple):
    """Takes the place of a secret that could not be read, so that it is reported like any other fault."""

    reason: str


class Found(NamedTuple):
    """A secret as it was found, and the words for where."""

    value: SecretStr | Unreadable
    origin: str


def find(name: str, environ: Mapping[str, str], data_dir: Path | None = None) -> Found | None:
    """The secret `name`, or None if it is set nowhere. Never raises: what cannot be read is `Unreadable`."""
    value, path = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "")
    if value and path:
        return Found(Unreadable(f"set either {name} or {name}_FILE, not both"), f"{name} and {name}_FILE")
    if value:
        return Found(SecretStr(value), name)
    if path:
        return _read(Path(path), f"{name}_FILE={path}")
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    if directory and (
        found := _read(Path(directory, name), f"{name} in CREDENTIALS_DIRECTORY={directory}", may_be_absent=True)
    ):
        return found
    return None if data_dir is None else _stored(name, data_dir / FOLDER)


def _stored(name: str, folder: Path) -> Found | None:
    try:
        folder.stat()
    except OSError:  # there is none; or the data directory cannot be used, which is reported on its own
        return None
    return _read(folder / name, str(folder / name), may_be_absent=True)


def _read(path: Path, origin: str, *, may_be_absent: bool = False) -> Found | None:
    try:
        value = path.read_text("utf-8").strip()
    except OSError as error:
        if may_be_absent and isinstance(error, FileNotFoundError):
            return None
        return Found(Unreadable(f"cannot read {path}: {error.strerror}"), origin)
    except ValueError:  # the decoder's own message would show the bytes
        return Found(Unreadable(f"cannot read {path}: not a text file in UTF-8"), origin)
    return Found(SecretStr(value), origin) if value else None


def _readable(value: object) -> object:
    if isinstance(value, Unreadable):
        raise PydanticCustomError("unreadable", "{reason}", {"reason": value.reason})
    return value


def _revealed(value: object) -> object:
    value = _readable(value)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _separated(value: object) -> object:
    value = _revealed(value)
    if not isinstance(value, str):
        return value
    tokens = [token for part in value.split(",") if (token := part.strip())]
    if not tokens:  # nobody who writes a comma means "no protection"
        raise PydanticCustomError("no_token", "there is no token between the commas")
    return tokens


def _sendable(token: SecretStr) -> SecretStr:
    if SENDABLE.fullmatch(token.get_secret_value()) is None:
        raise PydanticCustomError("token", "a token must be of visible ASCII characters, without spaces")
    return token


def _signing(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if PUBLIC_KEY.match(text) is not None:
        raise PydanticCustomError("public_key", "must be a shared secret; for public keys set jwt.jwks_url")
    if len(text.encode()) < SHORTEST_KEY_BYTES:
        raise PydanticCustomError("short_key", "must have at least 32 bytes")
    return key


def _base_url(url: str) -> str:
    """The address without its trailing slash, as paths are appended to it."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        plain = plain and "@" not in parts.netloc
    except ValueError:  # a port that is no number, a broken IPv6 address
        plain = False
    if not plain or re.search(r"[\s?#\\]", url) or not url.isprintable():
        raise PydanticCustomError(
            "base_url", "must be http:// or https:// with a host, and without user, password, query and fragment"
        )
    return url.rstrip("/")


def _of_receiver(secret: SecretStr) -> SecretStr:
    """As Standard Webhooks has it: what a receiver's library takes as it stands."""
    text = secret.get_secret_value().removeprefix("whsec_")
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", 'must be base64, with or without "whsec_" before it') from None
    if not SHORTEST_SIGNING_BYTES <= size <= LONGEST_SIGNING_BYTES:
        raise PydanticCustomError("size", "must have 24 to 64 bytes; make one with: openssl rand -base64 32")
    return secret


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Token = Annotated[SecretStr, AfterValidator(_sendable)]
SigningKey = Annotated[SecretStr, AfterValidator(_signing)]
WebhookSecrets = Annotated[tuple[Annotated[SecretStr, AfterValidator(_of_receiver)], ...], BeforeValidator(_separated)]


class Secrets(BaseModel):
    """The backend's address and token, and what callers may use or sign with; what is not set is None or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    backend_api_url: Annotated[BaseUrl | None, BeforeValidator(_revealed)] = None
    backend_api_token: Annotated[Token | None, BeforeValidator(_readable)] = None
    api_tokens: Annotated[tuple[Token, ...], BeforeValidator(_separated)] = ()
    admin_tokens: Annotated[tuple[Token, ...], BeforeValidator(_separated)] = ()
    jwt_key: Annotated[SigningKey | None, BeforeValidator(_readable)] = None
    webhooks: dict[str, WebhookSecrets] = {}
    """Those of each webhook by its name; several while one is replaced."""

    @field_validator("admin_tokens")
    @classmethod
    def _only_operators(cls, tokens: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        """Else every holder of the one would be an operator."""
        if set(tokens) & set(info.data.get("api_tokens", ())):
            raise PydanticCustomError("same_token", "must be another token than API_TOKEN")
        return tokens

    def to_redact(self) -> tuple[str, ...]:
        """The values that must appear in no log line."""
        single = (self.backend_api_token, self.jwt_key)
        tokens = (*self.api_tokens, *self.admin_tokens, *(secret for secret in single if secret is not None))
        signing = [secret for secrets in self.webhooks.values() for secret in secrets]
        # Without the prefix, which everybody knows: it is found with and without it.
        signing_values = (secret.get_secret_value().removeprefix("whsec_") for secret in signing)
        return (*(token.get_secret_value() for token in tokens), *signing_values)

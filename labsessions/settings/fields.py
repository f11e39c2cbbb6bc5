"""The kinds of values that settings have, where pydantic's own are too generous or too curt.

They take what a TOML file, an environment variable or a flag can say, and must not depend on any setting.
"""

import json
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

# A browser's origin: no path and no trailing slash; or `*` for any.
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@*]+")


def _number(value: object) -> object:
    if isinstance(value, bool):  # Python would take `true` for 1
        raise PydanticCustomError("number", "input should be a number, not a boolean")
    return value


def items(value: object) -> object:
    """A list written as one string, as the environment has it: a JSON array, or separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise PydanticCustomError("items", "input should be a JSON array or separated by commas") from None
    return [item for part in value.split(",") if (item := part.strip())]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _origin(value: str) -> str:
    if ORIGIN.fullmatch(value) is None:
        raise PydanticCustomError("origin", 'input should be "*" or an origin like "https://labs.example"')
    return value


def _web_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        plain = False
    if value and (not plain or "@" in parts.netloc or re.search(r"[\s#\\]", value) or not value.isprintable()):
        raise PydanticCustomError("web_url", "input should be http:// or https:// with a host, and without a password")
    return value


def _path(value: str) -> str:
    if value and (not value.startswith("/") or re.search(r"[\s?#\\]", value) or not value.isprintable()):
        raise PydanticCustomError("path", 'input should be a path like "/api/v1/labs", without a query')
    return value


def _host(value: str) -> str:
    if re.search(r"\s", value):
        raise PydanticCustomError("host", "input should be a host name or an IP address")
    return value


Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
UrlPath = Annotated[str, AfterValidator(_path)]
Host = Annotated[str, AfterValidator(_host)]
Level = Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)]
ManualDelete = Annotated[Literal["cancel", "ensure"], BeforeValidator(_lower)]
Format = Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)]

Origin = Annotated[str, AfterValidator(_origin)]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(items)]

# Only refusals can mean "it is gone": a 2xx confirms anyway, and 1xx and 3xx say nothing of the VM.
GoneStatus = Annotated[int, BeforeValidator(_number), Field(ge=400, le=599)]
GoneStatuses = Annotated[tuple[GoneStatus, ...], BeforeValidator(items)]

LeadMinute = Annotated[float, BeforeValidator(_number), Field(ge=0.001, le=1440)]
LeadMinutes = Annotated[tuple[LeadMinute, ...], BeforeValidator(items)]

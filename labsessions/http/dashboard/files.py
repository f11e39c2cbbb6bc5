"""The dashboard's files as they are sent: read once, with a tag of what is in them. No request is known here."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

PAGE: Final = "index.html"

# Not guessed at: what the machine takes a suffix for is its own affair, and no browser runs a script of a wrong type.
_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


class File(NamedTuple):
    """Body, media type, and a strong entity tag: another content has another one."""

    body: bytes
    content_type: str
    tag: str


def read() -> Mapping[str, File]:
    """All of them by their names."""
    return {each.name: _file(each.name, each.read_bytes()) for each in files(__package__).joinpath("static").iterdir()}


def _file(name: str, body: bytes) -> File:
    return File(body, _TYPES[name.rpartition(".")[2]], hashlib.sha256(body).hexdigest()[:32])

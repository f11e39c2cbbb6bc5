"""How a state is stored: JSON with a version, so that a file written by an older release still opens.

Version 1 is the only one so far. Members added later with a default need no new version; anything else does,
together with a step that lifts the older document.
"""

import msgspec
from msgspec import Struct

from labsessions.core.model import State

VERSION = 1


class _Versioned(Struct):
    v: int


class _Document(Struct, frozen=True):
    v: int
    state: State


class UnreadableStateError(ValueError):
    """The stored bytes are no state of this or an older release."""


_encoder = msgspec.json.Encoder()
_version_decoder = msgspec.json.Decoder(_Versioned)
_decoder = msgspec.json.Decoder(_Document)


def encode(state: State) -> bytes | None:
    """The bytes to store, or None where nothing is left to store."""
    return None if state == State() else _encoder.encode(_Document(VERSION, state))


def decode(stored: bytes | None) -> State:
    """The state that `encode` stored; None is the empty state. UnreadableStateError if it cannot be read."""
    if stored is None:
        return State()
    try:
        version = _version_decoder.decode(stored).v
        if version != VERSION:
            raise UnreadableStateError(f"the state has version {version}, this release reads version {VERSION}")
        return _decoder.decode(stored).state
    # msgspec raises its own errors for wrong JSON and wrong types, Python's for bad UTF-8 and for nesting too deep.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableStateError(f"the stored state cannot be read: {error}") from error

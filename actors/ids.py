"""The identity of an actor: a namespace and a name in it. Making one starts nothing."""

from typing import NamedTuple


class ActorId(NamedTuple):
    """Same namespace and name, same actor; the name is the caller's (a user id, say), kept as it is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """For log lines: `sessions/alice`."""
        return f"{self.namespace}/{self.name}"

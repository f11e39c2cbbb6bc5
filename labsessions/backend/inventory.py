"""The lab backend's list of VMs, where it offers one: a JSON array of objects with `lab_request_id`.

`created_at` (ISO 8601) and `user_id` may be there. A list that isn't whole and understood to the last entry is none:
whoever compares with it must not take an outage for an empty platform.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from labsessions.backend.client import BackendClient
from labsessions.inventory import ListedVm, OrphansError

# A hundred thousand VMs with what else a backend may say of them.
MOST_BYTES: Final = 32 * 1_048_576
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Entry(Struct, gc=False):
    lab_request_id: Annotated[str, Meta(min_length=1)]
    created_at: str | None = None
    user_id: str | None = None


_decoder: Final = msgspec.json.Decoder(list[_Entry])


class BackendInventory:
    """`inventory.Inventory` at this path of the backend; a list of more than `most_bytes` isn't read."""

    def __init__(self, client: BackendClient, path: str, most_bytes: int = MOST_BYTES) -> None:
        self._client = client
        self._path = path
        self._most_bytes = most_bytes

    async def listed(self) -> list[ListedVm]:
        """See `inventory.Inventory`."""
        if (missing := self._client.missing) is not None:
            raise OrphansError(missing)
        found = await self._client.document(self._path, self._most_bytes)
        if isinstance(found, str):
            raise OrphansError(f"the backend's list at {self._path}: {found}")
        if found.goes_on:
            raise OrphansError(f"the backend's list at {self._path} is only the first page of more")
        # A hundred thousand entries take half a second, for which no request and no cleanup shall wait.
        return await asyncio.to_thread(self._understood, found.body)

    def _understood(self, body: bytes) -> list[ListedVm]:
        try:
            entries = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OrphansError(f"the backend's list at {self._path} is not an array of VMs: {error}") from error
        vms: dict[str, ListedVm] = {}
        for entry in entries:
            vm = ListedVm(entry.lab_request_id, _instant_ms(entry), entry.user_id or None)
            vms[vm.lab_request_id] = _younger(vms.get(vm.lab_request_id, vm), vm)
        return list(vms.values())


def _instant_ms(entry: _Entry) -> int | None:
    """When it was created. Without a time zone nobody knows; what is no instant at all makes the list suspect."""
    if entry.created_at is None:
        return None
    try:
        created = datetime.fromisoformat(entry.created_at)
    except ValueError:
        raise OrphansError(
            f"the backend's list: created_at of {entry.lab_request_id!r} is no ISO 8601 instant"
        ) from None
    return None if created.tzinfo is None else (created - _EPOCH) // timedelta(milliseconds=1)


def _younger(one: ListedVm, other: ListedVm) -> ListedVm:
    """Of two entries for one VM, the one that says less of its age."""
    if one.created_ms is None or other.created_ms is None:
        return one if one.created_ms is None else other
    return max(one, other, key=lambda vm: vm.created_ms or 0)

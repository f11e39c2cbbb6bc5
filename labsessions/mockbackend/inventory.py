"""The VMs that the mock backend lists: what a test has put there, as far as it wasn't deleted."""

from collections.abc import Container, Iterable

import msgspec
from msgspec import UNSET, Struct, UnsetType


class VmError(ValueError):
    """The JSON is no VM; the text names the field."""


class Vm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VM as the list shows it; `created_at` and `user_id` may be missing."""

    lab_request_id: str
    created_at: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET


class Inventory:
    """The VMs in the order that they were put there, each once."""

    def __init__(self) -> None:
        self._vms: dict[str, Vm] = {}

    def put(self, vms: Iterable[Vm]) -> None:
        """Add them; one that is there already is replaced."""
        self._vms.update({vm.lab_request_id: vm for vm in vms})

    def listed(self, deleted: Container[str]) -> list[Vm]:
        """Those that have not been deleted."""
        return [vm for name, vm in self._vms.items() if name not in deleted]


def parse_vms(text: str | bytes) -> list[Vm]:
    """The VMs in a JSON text, which is one of them or a list. Raises VmError naming the field."""
    try:
        decoded = msgspec.json.decode(text, type=Vm | list[Vm])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VmError(str(error)) from error
    return decoded if isinstance(decoded, list) else [decoded]

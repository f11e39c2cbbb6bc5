"""The lab backend, as CONTRACT §2 asks of it: `open_client` is the way in, `BackendCleaner` the port `Cleaner`.

`BackendInventory` is the port `Inventory`, where the backend has a list of its VMs.
"""

from labsessions.backend.cleaner import BackendCleaner
from labsessions.backend.client import BackendClient, BackendSettings, open_client
from labsessions.backend.inventory import BackendInventory

__all__ = ["BackendCleaner", "BackendClient", "BackendInventory", "BackendSettings", "open_client"]

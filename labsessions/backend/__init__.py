"""The lab backend, as CONTRACT §2 asks of it: `open_client` is the way in, `BackendCleaner` the port `Cleaner`.

`BackendInventory` is the port `Inventory`, where the backend has a list of its VMs. `open_cleaner`: both steps in one.
"""

from labsessions.backend.cleaner import BackendCleaner, open_cleaner
from labsessions.backend.client import BackendClient, BackendSettings, open_client
from labsessions.backend.inventory import BackendInventory

__all__ = ["BackendCleaner", "BackendClient", "BackendInventory", "BackendSettings", "open_cleaner", "open_client"]

"""The lab backend, as CONTRACT §2 asks of it: `open_client` makes its calls, `BackendCleaner` is the port `Cleaner`."""

from labsessions.backend.cleaner import BackendCleaner
from labsessions.backend.client import BackendClient, BackendSettings, open_client

__all__ = ["BackendCleaner", "BackendClient", "BackendSettings", "open_client"]

"""The lab backend, as CONTRACT §2 asks of it: `open_cleaner` is the way in, `BackendCleaner` the port `Cleaner`."""

from labsessions.backend.cleaner import BackendCleaner, open_cleaner
from labsessions.backend.client import BackendClient, BackendSettings

__all__ = ["BackendCleaner", "BackendClient", "BackendSettings", "open_cleaner"]

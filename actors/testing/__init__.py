"""The fakes: time that is driven, and a durable medium in memory. Public, and used by the project's own tests."""

from actors.testing.clocks import EPOCH_MS, DeadlockError, ManualClock, VirtualClock, VirtualLoop, run_virtual
from actors.testing.stores import DiskError, MemoryDisk, MemoryStore, ProcessDiedError

__all__ = [
    "EPOCH_MS",
    "DeadlockError",
    "DiskError",
    "ManualClock",
    "MemoryDisk",
    "MemoryStore",
    "ProcessDiedError",
    "VirtualClock",
    "VirtualLoop",
    "run_virtual",
]

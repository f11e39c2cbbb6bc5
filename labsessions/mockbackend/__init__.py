"""The lab backend's two routes (CONTRACT §2) and a list of VMs for development and tests, with scripted faults.

It deletes nothing real. `make_app` is the application, `running` serves it inside a test, `serve` as a process
(`python run.py mock-backend`). Nothing of the service itself may import this package but the command line.
"""

from labsessions.mockbackend.app import make_app
from labsessions.mockbackend.faults import (
    Drop,
    Fault,
    FaultError,
    Hang,
    Huge,
    Lost,
    NonJson,
    Redirect,
    Slow,
    Status,
    fail_next,
    parse_faults,
)
from labsessions.mockbackend.inventory import Vm
from labsessions.mockbackend.record import Call
from labsessions.mockbackend.server import MockBackend, running, serve

__all__ = [
    "Call",
    "Drop",
    "Fault",
    "FaultError",
    "Hang",
    "Huge",
    "Lost",
    "MockBackend",
    "NonJson",
    "Redirect",
    "Slow",
    "Status",
    "Vm",
    "fail_next",
    "make_app",
    "parse_faults",
    "running",
    "serve",
]

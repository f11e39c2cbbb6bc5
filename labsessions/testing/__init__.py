"""For the tests of what talks to labsessions: the real service in your process, with time that you drive.

`running` serves it as long as a block lasts, next to a scripted lab backend; `labsessions.testing.plugin` has the same
as a pytest fixture. Nothing here is imported by the service.
"""

from labsessions.mockbackend import Call, Drop, Fault, Hang, Lost, NonJson, Slow, Status
from labsessions.testing.service import LabService, running

__all__ = ["Call", "Drop", "Fault", "Hang", "LabService", "Lost", "NonJson", "Slow", "Status", "running"]

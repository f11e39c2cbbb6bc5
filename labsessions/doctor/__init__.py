"""`python run.py doctor`: looks at everything that the service needs, and says what to do about what is wrong.

It reads and asks, and must change nothing: neither the data, nor the service that may be running, nor anything at
the backend. One module per thing that is looked at; `examine` is the way in.
"""

from labsessions.doctor.examine import examine
from labsessions.doctor.findings import Finding

__all__ = ["Finding", "examine"]

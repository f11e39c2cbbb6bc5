"""The front door: CONTRACT §1 over aiohttp. It sees ports, messages and errors; no engine, no storage.

`make_app` is all that the composition root needs, with the `ApiOptions` it takes from the settings.
"""

from labsessions.http.app import make_app
from labsessions.http.options import ApiOptions

__all__ = ["ApiOptions", "make_app"]

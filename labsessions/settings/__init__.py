"""The settings of one run: what can be set, where it is read from, and what is wrong with it.

`load` is the way in. Nothing here reads `os.environ`, writes, or logs; settings are read at the
start, and again when the service is told to (`reload`).
"""

from labsessions.settings.load import load
from labsessions.settings.model import Settings
from labsessions.settings.secrets import Secrets
from labsessions.settings.sections import Actors, Api, Backend, Cleanup, Jwt, Log
from labsessions.settings.sources import SettingsError

__all__ = ["Actors", "Api", "Backend", "Cleanup", "Jwt", "Log", "Secrets", "Settings", "SettingsError", "load"]

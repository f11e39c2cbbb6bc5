"""The settings of one run: what can be set, where it is read from, and what is wrong with it.

`load` is the way in. Nothing here reads `os.environ`, writes, or logs; a setting is read once, at the start.
"""

from labsessions.settings.load import load
from labsessions.settings.model import Settings
from labsessions.settings.secrets import Secrets
from labsessions.settings.sections import Actors, Api, Backend, Cleanup, Jwt, Log
from labsessions.settings.sources import SettingsError

__all__ = ["Actors", "Api", "Backend", "Cleanup", "Jwt", "Log", "Secrets", "Settings", "SettingsError", "load"]

"""labsessions keeps track of every learner's running lab and cleans it up when its time is over.

Read in this order: `core` decides (pure), `ports` says what the parts need of each other, `engines` runs the
core on the durable actors of the package `actors`, `http` is the front door, `backend` talks to the lab
backend, `bootstrap` puts all of it together and `cli` starts it.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("labsessions")
except PackageNotFoundError:  # started from a checkout that was never installed
    __version__ = "0+unknown"

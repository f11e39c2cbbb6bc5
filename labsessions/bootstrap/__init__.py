"""The composition root: the only package that knows every concrete class. `service` is what `daemon` keeps running."""

from labsessions.bootstrap.inside import DATABASE
from labsessions.bootstrap.service import Running, service

__all__ = ["DATABASE", "Running", "service"]

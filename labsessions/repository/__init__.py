"""Queries over the projections: what is read past the actors, as of the last commit."""

from labsessions.repository.query import Query
from labsessions.repository.record import COUNTS, Counts, Repository
from labsessions.repository.survey import StoredSurvey
from labsessions.repository.tail import EventTail

__all__ = ["COUNTS", "Counts", "EventTail", "Query", "Repository", "StoredSurvey"]

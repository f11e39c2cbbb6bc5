"""What the service tells Prometheus: counted in plain numbers on the way, made into families when asked for."""

from labsessions.metrics.collector import Parts, WebhookFigures
from labsessions.metrics.service import open_metrics
from labsessions.metrics.tally import Tally

__all__ = ["Parts", "Tally", "WebhookFigures", "open_metrics"]

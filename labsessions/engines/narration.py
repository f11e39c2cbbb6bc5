"""Facts become log lines: what a SessionManager says of each event once it is durable (CONTRACT §4)."""

from typing import assert_never

import structlog

from labsessions import log_lines as lines
from labsessions.core.messages import (
    AttemptFailed,
    AttemptStarted,
    Created,
    Ended,
    Event,
    Expiring,
    Forgotten,
    Owed,
    Settled,
    Stuck,
    TakenOver,
    Updated,
)
from labsessions.core.model import Session
from labsessions.core.projection import iso

Log = structlog.stdlib.BoundLogger


def narrate(events: tuple[Event, ...], log: Log) -> None:
    """Log each event to `log`. What a client caused by hand is told by the HTTP handler instead."""
    for event in events:
        session = event.session
        ids = {"user": session.lab.user_id, "lab": session.lab.lab_request_id}
        match event:
            case Created() | Updated(deadline_moved=True):
                log.info(lines.SCHEDULED, **ids, expires_at=iso(session.expires_ms))
            case Expiring(at_ms=now_ms):
                left_ms = session.expires_ms - now_ms
                log.info(lines.EXPIRING, **ids, expires_at=iso(session.expires_ms), remaining_seconds=left_ms / 1000)
            case AttemptStarted():
                _attempt_started(session, ids, log)
            case AttemptFailed():
                _attempt_failed(session, ids, log)
            case Stuck():
                _stuck(session, ids, log)
            case Updated():
                pass
            case Ended() | Forgotten():
                _ended(event, ids, log)
            case Owed() | TakenOver() | Settled():
                _obligation(event, ids, log)
            case _:  # pragma: no cover
                assert_never(event)


def _attempt_started(session: Session, ids: dict[str, str], log: Log) -> None:
    if session.cleanup is None or session.cleanup.attempts > 1 or session.deleted_ms is not None:
        return
    log.info(lines.ALARM, **ids)
    workers = len(session.vms) - 1
    if workers:
        log.info(lines.WORKERS, **ids, count=workers)


def _attempt_failed(session: Session, ids: dict[str, str], log: Log) -> None:
    if session.cleanup is not None:
        attempt = session.cleanup.attempts
        log.error(lines.FAILED, **ids, attempt=attempt, reason=session.cleanup.last_error)
        log.info(lines.RETRY, **ids, attempt=attempt + 1, when=iso(session.cleanup.retry_ms))


def _stuck(session: Session, ids: dict[str, str], log: Log) -> None:
    if session.cleanup is not None:
        log.error(lines.STUCK, **ids, attempts=session.cleanup.attempts, since=iso(session.cleanup.started_ms))


def _ended(event: Ended | Forgotten, ids: dict[str, str], log: Log) -> None:
    match event:
        case Ended(lateness_ms=int(late_ms)):
            log.info(lines.ROW_DELETED, **ids)
            log.info(lines.CLEANED, **ids, late_ms=late_ms, vms=len(event.session.vms))
        case Ended(reason="forgotten") | Forgotten():
            log.warning(lines.FORGOTTEN, **ids, vms=event.session.pending)
        case _:
            pass


def _obligation(event: Owed | TakenOver | Settled, ids: dict[str, str], log: Log) -> None:
    session = event.session
    match event:
        case Owed():
            log.info(lines.OWED, **ids, vms=len(session.pending), when=iso(session.due_ms))
        case TakenOver(vms=vms):
            log.info(lines.TAKEN_OVER, **ids, vms=vms)
        case Settled():
            log.info(lines.SETTLED, **ids, vms=len(session.vms))
        case _:  # pragma: no cover
            assert_never(event)

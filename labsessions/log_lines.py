"""The log lines that operators grep for: the exact event texts of CONTRACT §4, as constants.

Ids and figures are never part of the text; they are bound as fields.
"""

from typing import Final

import structlog

SCHEDULED: Final = "[SessionManager] Scheduled cleanup"
EXPIRING: Final = "[SessionManager] Session ends soon"
ALARM: Final = "[SessionManager] Alarm triggered"
WORKERS: Final = "[SessionManager] Worker nodes detected"
CALLING: Final = "[SessionManager] Calling backend API to delete resources"
SERVICES_DELETED: Final = "[SessionManager] ✅ Exposed services deleted"
SERVICES_FAILED: Final = "[SessionManager] ⚠️ Failed to delete exposed services"
VM_DELETED: Final = "[SessionManager] ✅ VM deleted successfully"
VM_FAILED: Final = "[SessionManager] ❌ VM deletion failed"
ROW_DELETED: Final = "[SessionManager] ✅ Database entry deleted"
CLEANED: Final = "[SessionManager] ✅ Successfully cleaned up expired session"
FAILED: Final = "[SessionManager] ❌ Cleanup failed"
RETRY: Final = "[SessionManager] Rescheduled cleanup retry"
STUCK: Final = "[SessionManager] ❌ Cleanup stuck"
OWED: Final = "[SessionManager] VMs of a deleted session are owed"
TAKEN_OVER: Final = "[SessionManager] Owed VMs belong to a newer session"
FORGOTTEN: Final = "[SessionManager] ⚠️ Session forgotten, its VMs may still run"
SETTLED: Final = "[SessionManager] ✅ VMs of a deleted session are gone"

ORPHAN_DELETED: Final = "[Orphans] ✅ VM deleted"
ORPHAN_FAILED: Final = "[Orphans] ❌ VM deletion failed"
SWEPT: Final = "[Orphans] Sweep ended"

CANCELLED: Final = "[Handler] Automatic cleanup cancelled"
CREATED: Final = "[Handler] ✅ Session created"
UPDATED: Final = "[Handler] ✅ Session updated"
EXTENDED: Final = "[Handler] ✅ Session extended"
REPEATED: Final = "[Handler] Request with a known key answered again"
DELETED: Final = "[Handler] ✅ Session deleted"
OPERATED: Final = "[Handler] Operator's action"
REFUSED: Final = "[Handler] ⚠️ Request refused"
UNHANDLED: Final = "[Handler] ❌ Unhandled error"


def bound_logger() -> structlog.stdlib.BoundLogger:
    """A logger as configured now, for an object that lives long and writes many lines.

    structlog's usual one makes itself anew for each line, which takes a third of its time.
    """
    logger: structlog.stdlib.BoundLogger = structlog.get_logger().bind()
    return logger

"""The routes by which operators act, as one group."""

from labsessions.http.admin import actions, bulk, endpoints_act, pause
from labsessions.http.admin.actions import ActionRoutes
from labsessions.http.admin.audit import AuditRoutes
from labsessions.http.admin.bulk import BulkRoutes
from labsessions.http.admin.pause import PauseRoutes
from labsessions.http.extension import SCHEMA as EXTENSION
from labsessions.http.groups import RouteGroup
from labsessions.http.options import ApiOptions
from labsessions.ports import Audit, Pauses, Sessions, Waiting


def act_routes(sessions: Sessions, audit: Audit, pauses: Pauses, waiting: Waiting, options: ApiOptions) -> RouteGroup:
    """All of them. `make_app` has them among its `groups`."""
    one = ActionRoutes(sessions, options.body_seconds)
    many = BulkRoutes(sessions, waiting, audit, options.body_seconds)
    gate = PauseRoutes(sessions, pauses, options.body_seconds)
    return RouteGroup(
        (
            (endpoints_act.EXTEND, one.extend),
            (endpoints_act.END, one.end),
            (endpoints_act.RETRY, one.retry),
            (endpoints_act.FORGET, one.forget),
            (endpoints_act.RETRY_MANY, many.retry),
            (endpoints_act.PAUSED, gate.show),
            (endpoints_act.PAUSE, gate.begin),
            (endpoints_act.RESUME, gate.end),
            (endpoints_act.AUDIT, AuditRoutes(audit).show),
        ),
        schemas={
            "OperatorsExtension": {**actions.EXTENSION.schema, "oneOf": EXTENSION["oneOf"]},
            "WithReason": actions.WITH_REASON.schema,
            "Forget": actions.FORGET.schema,
            "RetryMany": bulk.RETRY_MANY.schema,
            "Pause": pause.SCHEMA,
            "Nothing": pause.RESUME.schema,
            "RetriedMany": endpoints_act.RETRIED_MANY,
            "Paused": endpoints_act.PAUSE_SHOWN,
            "Concerned": endpoints_act.CONCERNED,
            "Audit": endpoints_act.AUDIT_PAGE,
        },
        examples=endpoints_act.EXAMPLES,
    )

"""The routes by which operators act, as one group."""

from labsessions.http.admin import actions, endpoints_act
from labsessions.http.admin.actions import ActionRoutes
from labsessions.http.admin.audit import AuditRoutes
from labsessions.http.extension import SCHEMA as EXTENSION
from labsessions.http.groups import RouteGroup
from labsessions.http.options import ApiOptions
from labsessions.ports import Audit, Sessions


def act_routes(sessions: Sessions, audit: Audit, options: ApiOptions) -> RouteGroup:
    """All of them. `make_app` has them among its `groups`."""
    one, told = ActionRoutes(sessions, options.body_seconds), AuditRoutes(audit)
    return RouteGroup(
        (
            (endpoints_act.EXTEND, one.extend),
            (endpoints_act.END, one.end),
            (endpoints_act.RETRY, one.retry),
            (endpoints_act.FORGET, one.forget),
            (endpoints_act.AUDIT, told.show),
        ),
        schemas={
            "OperatorsExtension": {**actions.EXTENSION.schema, "oneOf": EXTENSION["oneOf"]},
            "WithReason": actions.WITH_REASON.schema,
            "Forget": actions.FORGET.schema,
            "Concerned": endpoints_act.CONCERNED,
            "Audit": endpoints_act.AUDIT_PAGE,
        },
        examples=endpoints_act.EXAMPLES,
    )

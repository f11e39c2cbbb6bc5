"""The credentials as OpenAPI describes them: what a caller may bring, and which of it opens a route."""

from collections.abc import Mapping
from typing import Any, Final

from labsessions.http.credentials import Role
from labsessions.http.scopes import ROLES, Scope

_NAMES: Final = {Role.PLATFORM: "platformToken", Role.OPERATOR: "operatorToken", Role.USER: "userToken"}

SCHEMES: Final[Mapping[str, Mapping[str, str]]] = {
    _NAMES[Role.PLATFORM]: {
        "type": "http",
        "scheme": "bearer",
        "description": "`API_TOKEN`: the platform's back end, for all users",
    },
    _NAMES[Role.OPERATOR]: {
        "type": "http",
        "scheme": "bearer",
        "description": "`ADMIN_TOKEN`: an operator, for all users and for the service itself",
    },
    _NAMES[Role.USER]: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the platform's identity provider: for the session of the user in `sub`, no other",
    },
}
"""`components.securitySchemes`. A service has those that its operator has set up."""


def security(scope: Scope) -> list[dict[str, list[Any]]]:
    """The `security` of an operation: any one of these; none is needed if it is empty."""
    return [] if scope is Scope.OPEN else [{name: []} for role, name in _NAMES.items() if role in ROLES[scope]]

"""What whoever watches the service is told: `/health`, live, ready, and the overview at `/`."""

from typing import Any

import pytest
from http_driven import Api, DrivenReadiness

from labsessions.http import ApiOptions
from labsessions.http.dashboard import FILE


@pytest.fixture
def options() -> ApiOptions:
    """A service that lacks its backend."""
    return ApiOptions(version="1.2.3", tokens=("secret-token",), not_configured=("BACKEND_API_URL",))


async def get(api: Api, path: str) -> tuple[int, Any]:
    """Status and body."""
    async with api.get(path) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_health_names_problems(api: Api, readiness: DrivenReadiness) -> None:
    """Problems are added; the service is still healthy in the contract's words."""
    readiness.state = {"ready": False, "problems": ["no backend"]}
    status, body = await get(api, "/health")
    assert status == 200
    assert body == {
        "status": "healthy",
        "service": "lab-sessions-api",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "problems": ["no backend"],
    }


async def test_health_without_problems(api: Api, readiness: DrivenReadiness) -> None:
    """Neither an empty list nor its absence adds the member."""
    for state in ({"ready": True}, {"ready": True, "problems": []}):
        readiness.state = state
        _, body = await get(api, "/health")
        assert sorted(body) == ["service", "status", "timestamp"]


async def test_live(api: Api) -> None:
    """Alive is alive."""
    assert await get(api, "/health/live") == (200, {"status": "alive"})


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_ready(api: Api, readiness: DrivenReadiness, ready: bool, status: int) -> None:  # noqa: FBT001 - by name
    """Readiness is told by the status, and all of its detail is shown."""
    readiness.state = {"ready": ready, "problems": ["x"], "storage": {"queue": 3}}
    assert await get(api, "/health/ready") == (status, readiness.state)


async def test_overview(api: Api) -> None:
    """`/` names the service, its routes (not the dashboard's files), and what is not configured; never a secret."""
    status, body = await get(api, "/")
    assert status == 200
    assert (body["service"], body["version"]) == ("lab-sessions-api", "1.2.3")
    assert body["not_configured"] == ["BACKEND_API_URL"]
    assert api.app is not None
    routed = {
        (route.method, route.resource.canonical)
        for route in api.app.router.routes()
        if route.resource is not None and route.method != "HEAD" and route.resource.canonical != FILE
    }
    assert {(endpoint["method"], endpoint["path"]) for endpoint in body["endpoints"]} == routed - {("GET", FILE)}
    assert all(endpoint["description"] for endpoint in body["endpoints"])
    assert "secret-token" not in str(body)

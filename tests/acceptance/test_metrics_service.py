"""`/metrics` of the real process: what has happened to sessions is in it, and no trace of whose they were."""

from pathlib import Path

import aiohttp
from processes import Process, until, world
from prometheus_client.parser import text_string_to_metric_families


async def scrape(service: Process) -> tuple[str, dict[str, float]]:
    """The text, and each sample by its name with its labels as they are written in it."""
    async with aiohttp.ClientSession() as http, http.get(f"{service.url}/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    found = {
        sample.name + "".join(f",{label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return text, found


async def test_a_life_of_a_session_is_counted(tmp_path: Path) -> None:
    """Created, failed once, cleaned up: in the figures of sessions, attempts, calls, requests, commits and memory."""
    env = {"LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": "0.2"}
    async with world(tmp_path, **env) as (service, client, backend):
        await backend.fault(kind="status", status=404, times=1, route="delete")
        assert (await client.create("alice-in-person", duration=0.002))[0] == 201
        assert (await client.create("bob-in-person", duration=60))[0] == 201
        await until(lambda: client.gone("alice-in-person"), "the cleanup")

        async def counted() -> dict[str, float] | None:  # the counts may be a second old, a sample takes half of one
            _, found = await scrape(service)
            fresh = found["lab_sessions,state=active"] == 1 and found["lab_sessions,state=cleaning"] == 0
            return found if fresh and found["lab_event_loop_lag_seconds_count"] > 0 else None

        found = await until(counted, "fresh counts")
        text, _ = await scrape(service)
        assert found["lab_sessions_created_total"] == 2
        assert found["lab_sessions_ended_total,reason=expired"] == 1
        assert found["lab_delete_attempts_total,outcome=failed"] == 1
        assert found["lab_delete_attempts_total,outcome=confirmed"] == 1
        assert found["lab_delete_lateness_seconds_count"] == 1
        assert found["lab_delete_lateness_seconds_sum"] >= 0.2
        assert found["lab_backend_request_seconds_count,code=404,route=/api/v1/labs/delete"] == 1
        assert found["lab_backend_request_seconds_count,code=202,route=/api/v1/labs/delete"] == 1
        assert found["lab_http_requests_total,code=201,method=POST,route=/api/v1/labs/sessions"] == 2
        assert found["lab_http_requests_total,code=404,method=GET,route=/api/v1/labs/sessions/user/{user_id}"] >= 1
        assert found["lab_commit_operations_sum"] >= 5
        assert found["lab_backup_timestamp_seconds"] == 0
        assert "in-person" not in text


async def test_operators_only_unless_it_is_open(tmp_path: Path) -> None:
    """With tokens, `/metrics` needs one of an operator; a setting opens it, and nothing else."""
    for env, status in (({}, 401), ({"LABSESSIONS_METRICS__OPEN": "true"}, 200)):
        folder = tmp_path / str(status)
        folder.mkdir()
        async with world(folder, API_TOKEN="platform-token", **env) as (service, _, _), aiohttp.ClientSession() as http:
            async with http.get(f"{service.url}/metrics") as answer:
                assert answer.status == status
            async with http.get(f"{service.url}/api/v1/labs/sessions/user/ann") as answer:
                assert answer.status == 401

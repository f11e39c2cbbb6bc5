"""The real process while its backend is down as a whole: probed, seen in health and log, over by itself."""

from pathlib import Path

from processes import Client, until, world

SOON = 0.005  # minutes: 300 ms


async def breaker_is(client: Client, state: str) -> bool:
    """What readiness says of the circuit breaker; it is ready all the same."""
    status, ready = await client.call("GET", "/health/ready")
    assert status == 200
    return bool(ready["breaker"] == state)


async def test_an_outage_is_shown_and_ends_by_itself(tmp_path: Path) -> None:
    """Eight attempts fail, the breaker opens; once the backend is back, everything goes, and the log tells it all."""
    env = {
        "LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": "2",
        "LABSESSIONS_BACKEND__QUICK_RETRIES": "0",
        "LABSESSIONS_BACKEND__BREAKER_LONGEST_PAUSE_SECONDS": "0.2",
    }
    async with world(tmp_path, **env) as (service, client, backend):
        await backend.fault(kind="status", status=503)
        for n in range(8):
            assert (await client.create(f"user-{n}", duration=SOON))[0] == 201
        await until(lambda: breaker_is(client, "open"), "the breaker to open")
        _, health = await client.call("GET", "/health")
        assert health["status"] == "healthy"
        assert any("the lab backend has been down" in problem for problem in health["problems"])
        await backend.heal()
        for n in range(8):
            await until(lambda n=n: client.gone(f"user-{n}"), f"user-{n} to be cleaned up")  # type: ignore[misc]
        assert "problems" not in (await client.call("GET", "/health"))[1]
        log = service.log()
        assert log.count("the circuit breaker has opened: 5 in a row") == 1
        assert log.count("the circuit breaker has closed") == 1
    assert (tmp_path / "data" / "clock-seen").read_text().isdecimal()

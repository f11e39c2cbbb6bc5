"""What a new reading of the settings comes to: what may change does, all else waits for a restart."""

from typing import Any

import pytest
from pydantic import BaseModel

from labsessions import options
from labsessions.settings import Settings, SettingsError, load
from labsessions.settings.reload import WHILE_RUNNING, combine
from labsessions.settings.sources import Key, keys, variable

# Another valid value of each setting that may change.
OTHERS: dict[Key, str] = {
    ("api", "cors_origins"): "https://labs.example",
    ("api", "rate_per_second"): "7",
    ("api", "rate_burst"): "7",
    ("backend", "call_timeout_seconds"): "7",
    ("backend", "quick_retries"): "7",
    ("backend", "max_response_bytes"): "7",
    ("backend", "breaker_failures"): "7",
    ("backend", "breaker_pause_seconds"): "7",
    ("backend", "breaker_longest_pause_seconds"): "7",
    ("cleanup", "concurrency"): "7",
    ("cleanup", "slow_after_seconds"): "7",
    ("cleanup", "slow_concurrency"): "7",
    ("cleanup", "rate_per_second"): "7",
    ("cleanup", "gone_statuses"): "404",
    ("storage", "min_free_mib"): "7",
    ("events", "retention_days"): "70",
    ("history", "retention_days"): "70",
    ("events", "heartbeat_seconds"): "7",
    ("events", "streams_per_user"): "7",
    ("log", "level"): "error",
}


def settings(**environ: str) -> Settings:
    """Those of this environment."""
    return load({}, environ)


def handed_out(of: Settings) -> tuple[object, ...]:
    """All that the composition root hands to owners when settings change."""
    api = options.api(of, ())
    return (
        *(options.backend(of), options.limits(of), options.breaker(of)),
        *(api.cors_origins, api.rate_per_second, api.rate_burst, api.heartbeat_seconds, api.streams_per_user),
        *(of.events.retention_days, of.history.retention_days, of.storage.min_free_bytes, of.log.level),
    )


def test_every_setting_that_may_change_exists_and_is_tested_here() -> None:
    """A misspelt key would never change."""
    assert set(keys()) >= WHILE_RUNNING
    assert set(OTHERS) == WHILE_RUNNING


@pytest.mark.parametrize("key", sorted(WHILE_RUNNING), ids=".".join)
def test_each_is_taken_over_and_reaches_an_owner(key: Key) -> None:
    """By itself: nothing else changes, and what is handed to the owners does."""
    before = Settings()
    reading = combine(before, settings(**{variable(key): OTHERS[key]}))
    assert (reading.changed, reading.need_restart) == ((".".join(key),), ())
    assert reading.settings == settings(**{variable(key): OTHERS[key]})
    assert handed_out(reading.settings) != handed_out(before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABSESSIONS_PORT", "1"),
        ("LABSESSIONS_DATA_DIR", "/elsewhere"),
        ("LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS", "7"),
        ("LABSESSIONS_API__MAX_BODY_BYTES", "2000"),
        ("LABSESSIONS_JWT__ISSUER", "i"),
    ],
)
def test_all_others_wait_for_a_restart_and_are_named(name: str, value: str) -> None:
    """They stay as they are in force, and are named again at the next reading."""
    before = Settings()
    key = ".".join(name.removeprefix("LABSESSIONS_").lower().split("__"))
    for _ in range(2):
        reading = combine(before, settings(**{name: value}))
        assert reading == (before, (), (key,))


def test_both_at_once() -> None:
    """One doesn't keep the other back, within a section either."""
    read = settings(LABSESSIONS_CLEANUP__CONCURRENCY="7", LABSESSIONS_CLEANUP__STUCK_AFTER_ATTEMPTS="7", API_TOKEN="t")
    reading = combine(Settings(), read)
    assert reading.changed == ("API_TOKEN", "cleanup.concurrency")
    assert reading.need_restart == ("cleanup.stuck_after_attempts",)
    assert reading.settings == settings(LABSESSIONS_CLEANUP__CONCURRENCY="7", API_TOKEN="t")


@pytest.mark.parametrize("name", ["BACKEND_API_TOKEN", "API_TOKEN", "ADMIN_TOKEN", "JWT_HS256_KEY"])
def test_every_secret_is_taken_over(name: str) -> None:
    """A new one, another one, and none any more; the names tell, not the values."""
    issued = {"LABSESSIONS_JWT__ISSUER": "i", "LABSESSIONS_JWT__AUDIENCE": "a"}
    old, new = settings(**issued, **{name: "s3cret-old" * 4}), settings(**issued, **{name: "s3cret-new" * 4})
    for before, after in ((settings(**issued), new), (old, new), (old, settings(**issued))):
        reading = combine(before, after)
        assert (reading.settings, reading.changed) == (after, (name,))
        assert "s3cret" not in str(reading)


def test_nothing_has_changed() -> None:
    """Then nothing is named."""
    before = settings(API_TOKEN="t", LABSESSIONS_PORT="1")
    assert combine(before, settings(API_TOKEN="t", LABSESSIONS_PORT="1")) == (before, (), ())


def test_what_was_read_must_go_with_what_stays() -> None:
    """Without tokens only loopback: right for the address that was read, wrong for the one that is in force."""
    in_force = settings(LABSESSIONS_HOST="0.0.0.0", API_TOKEN="s3cret")  # noqa: S104 - an address
    with pytest.raises(SettingsError, match=r"host: with what is in force until a restart: .*loopback") as raised:
        combine(in_force, settings())
    assert "s3cret" not in str(raised.value)


def test_the_model_has_nothing_between_setting_and_section() -> None:
    """The list names a section and a setting in it."""
    model: Any = Settings()
    assert all(isinstance(getattr(model, section), BaseModel) for section, _ in WHILE_RUNNING)

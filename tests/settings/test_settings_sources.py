"""Where a setting comes from: flag before environment before config file before default."""

from pathlib import Path
from typing import Any

import pytest

from labsessions.core.policy import Policy
from labsessions.settings import Api, Cleanup, Settings, SettingsError, load
from labsessions.settings.sections import Warnings


def config(folder: Path, text: str) -> Path:
    """A config file of this text."""
    path = folder / "labsessions.toml"
    path.write_text(text, "utf-8")
    return path


# One row for each flag: its value from the flag, from its environment twin, from the file, and by default.
TWINS: list[tuple[str, Any, str, str, Any, Any, Any]] = [
    ("host", "127.0.0.3", "127.0.0.2", '"127.0.0.4"', "127.0.0.2", "127.0.0.4", "127.0.0.1"),
    ("port", 3, "2", "4", 2, 4, 8787),
    ("data_dir", Path("/f"), "/e", '"/t"', Path("/e"), Path("/t"), Path("data")),
    ("ready_file", Path("/f"), "/e", '"/t"', Path("/e"), Path("/t"), None),
    ("insecure", False, "true", "true", True, True, False),
    ("shutdown_seconds", 3, "2", "4", 2, 4, 10),
]


@pytest.mark.parametrize(("name", "flag", "env", "toml", "from_env", "from_file", "default"), TWINS)
def test_flag_before_environment_before_file_before_default(
    *, tmp_path: Path, name: str, flag: Any, env: str, toml: str, from_env: Any, from_file: Any, default: Any
) -> None:
    """The first source that says something wins; the others may say what they like."""
    flags, environ = {name: flag}, {f"LABSESSIONS_{name.upper()}": env}
    path = config(tmp_path, f"{name} = {toml}")
    assert getattr(load(flags, environ, path), name) == flag
    assert getattr(load({name: None}, environ, path), name) == from_env
    assert getattr(load({}, {}, path), name) == from_file
    assert getattr(load({}, {}, None), name) == default


def test_sections_merge_key_by_key(tmp_path: Path) -> None:
    """A section in the environment hides only the keys that it names from the file's section."""
    path = config(tmp_path, "[cleanup]\nretry_interval_seconds = 20\nstuck_after_attempts = 3\n[log]\nlevel = 'error'")
    settings = load({}, {"LABSESSIONS_CLEANUP__RETRY_INTERVAL_SECONDS": "2"}, path)
    assert settings.cleanup == Cleanup(retry_interval_seconds=2, stuck_after_attempts=3)
    assert settings.log.level == "error"


def test_a_faulty_value_that_is_overruled_is_no_fault(tmp_path: Path) -> None:
    """Only what would be used has to be right."""
    assert load({}, {"LABSESSIONS_PORT": "1"}, config(tmp_path, "port = 65536")).port == 1


@pytest.mark.parametrize("empty", ["", None])
def test_empty_counts_as_not_set(tmp_path: Path, empty: str | None) -> None:
    """An empty value, as an unset variable in a compose file leaves it, hides nothing."""
    path = config(tmp_path, 'host = "127.0.0.4"\nready_file = ""')
    settings = load({"host": empty}, {"LABSESSIONS_HOST": empty or "", "LABSESSIONS_CONFIG": ""}, path)
    assert settings.host == "127.0.0.4"
    assert settings.ready_file is None


def test_the_environment_names_the_config_file(tmp_path: Path) -> None:
    """LABSESSIONS_CONFIG is the twin of --config, and the flag wins."""
    path = config(tmp_path, "port = 4")
    assert load({}, {"LABSESSIONS_CONFIG": str(path)}).port == 4
    with pytest.raises(SettingsError):
        load({}, {"LABSESSIONS_CONFIG": str(path)}, tmp_path / "absent.toml")


@pytest.mark.parametrize("text", ["410,404", " 410 , 404 ,", "[410, 404]"])
def test_a_list_in_the_environment(text: str) -> None:
    """Separated by commas, or a JSON array."""
    settings = load({}, {"LABSESSIONS_CLEANUP__GONE_STATUSES": text})
    assert settings.cleanup.gone_statuses == (410, 404)


def test_an_empty_list() -> None:
    """No origin at all can be said, by an empty array."""
    assert load({}, {"LABSESSIONS_API__CORS_ORIGINS": "[]"}).api.cors_origins == ()


def test_words_may_be_shouted() -> None:
    """LOG_LEVEL=DEBUG is how many write it."""
    assert load({}, {"LABSESSIONS_LOG__LEVEL": "DEBUG"}).log.level == "debug"


def test_foreign_variables_are_ignored(tmp_path: Path) -> None:
    """Only LABSESSIONS_ and the three secrets are ours, and only in capitals."""
    environ = {"PORT": "1", "labsessions_port": "2", "CLEANUP__CONCURRENCY": "3", "HOME": str(tmp_path)}
    assert load({}, environ) == Settings()


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not passed does not count, neither for `load` nor for `Settings`."""
    for name in ("PORT", "LABSESSIONS_PORT", "HOST", "CLEANUP__CONCURRENCY"):
        monkeypatch.setenv(name, "127")
    monkeypatch.setenv("API_TOKEN", "t")
    assert load({}, {}) == Settings()
    assert Settings().port == 8787
    assert Settings().secrets.api_tokens == ()


def test_settings_are_frozen() -> None:
    """A run has the settings that it started with."""
    settings = Settings()
    for value, name in ((settings, "port"), (settings.cleanup, "concurrency"), (settings.secrets, "backend_api_url")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(value, name, 3)


@pytest.mark.parametrize(
    ("timeout", "interval", "limit_ms"),
    [(60, 300, 60_000), (60, 120.002, 60_000), (60, 120, 60_000), (60, 119.998, 59_999), (60, 2, 1000)],
)
def test_an_attempt_takes_at_most_half_of_the_interval(timeout: float, interval: float, limit_ms: int) -> None:
    """The limit in force is the shorter of the timeout and half of the interval."""
    cleanup = Cleanup(attempt_timeout_seconds=timeout, retry_interval_seconds=interval)
    assert cleanup.attempt_limit_ms == limit_ms


def test_policy() -> None:
    """The core gets the same numbers in milliseconds; the defaults agree with the core's own, but for warnings."""
    cleanup = Cleanup(retry_interval_seconds=2.5, retry_spread=0.05, stuck_after_attempts=7)
    expected = Policy(retry_interval_ms=2500, attempt_limit_ms=1250, spread=0.05, stuck_after=7)
    assert Settings(cleanup=cleanup, warnings=Warnings(lead_minutes=())).policy() == expected
    assert Settings().policy() == Policy(warn_before_ms=(300_000,))


@pytest.mark.parametrize(
    ("lead_minutes", "warn_before_ms"),
    [((), ()), ((1, 15, 5), (900_000, 300_000, 60_000)), ((5, 5.0), (300_000,)), ((0.001, 1440), (86_400_000, 60))],
)
def test_lead_times_go_from_the_longest_to_the_shortest(
    lead_minutes: tuple[float, ...], warn_before_ms: tuple[int, ...]
) -> None:
    """In whole milliseconds, each once, in whatever order they were given."""
    assert Warnings(lead_minutes=lead_minutes).warn_before_ms == warn_before_ms


@pytest.mark.parametrize(("duration", "total", "limit"), [(60, 0, 60), (60, 120, 120), (60, 30, 30), (60.5, 0, 60.5)])
def test_all_that_a_lab_may_last(duration: float, total: float, limit: float) -> None:
    """By default no more than a lab may begin with; a limit of its own counts, whichever is longer."""
    settings = Settings(api=Api(max_duration_minutes=duration, max_total_minutes=total))
    assert settings.policy().max_total_minutes == limit


def test_a_manual_delete_is_left_to_the_front_end_unless_chosen() -> None:
    """The grace period counts only with "ensure", whatever its case; zero is a value."""
    assert Cleanup(manual_delete_grace_seconds=5).owed_after_ms is None
    assert Settings(cleanup=Cleanup(manual_delete="ensure")).policy().owed_after_ms == 60_000
    assert Cleanup(manual_delete="ENSURE", manual_delete_grace_seconds=0).owed_after_ms == 0  # type: ignore[arg-type]

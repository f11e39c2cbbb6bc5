"""What a log line looks like, in JSON and on a console, and that no secret is in it."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeded

from labsessions import log_lines, logs
from labsessions.backend.reasons import Outage

EVENTS = [value for name, value in vars(log_lines).items() if name.isupper()]


@pytest.fixture(autouse=True)
def _configuration_is_undone() -> Iterator[None]:
    """Logging is global; leave it as it was found."""
    root, ours = logging.getLogger(), logging.getLogger("actors")
    before, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    ours.setLevel(our_level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(message: object) -> NoReturn:
    """Raise, for the sake of a traceback."""
    raise ValueError(message)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Unspeakable:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        """Fail, as foreign objects may."""
        raise KeyError


def json_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was written, line by line; fails on a line that is no JSON object."""
    text = stream.getvalue()
    assert text == "" or text.endswith("\n")
    return [dict(json.loads(line)) for line in text.split("\n")[:-1]]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("format_", ["json", "console"])
def test_the_events_are_written_word_for_word(event: str, format_: Any) -> None:
    """Operators grep for them (CONTRACT §4): no escapes, nothing in between."""
    for stream in (io.StringIO(), Terminal()):
        logs.configure("info", format_, stream)
        structlog.get_logger().info(event, user_id="u")
        assert event in stream.getvalue()


def test_a_json_line() -> None:
    """Time, level and event come first, then the fields as they were bound."""
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.get_logger("any", "names").warning("what – ✅", user_id="ü", attempts=3, ok=None, vms=("a", "b"))
    [line] = json_lines(stream)
    assert list(line) == ["timestamp", "level", "event", "user_id", "attempts", "ok", "vms"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "warning", "event": "what – ✅", "user_id": "ü", "attempts": 3, "ok": None, "vms": ["a", "b"]
    }  # fmt: skip
    assert "what – ✅" in stream.getvalue()
    assert '"ü"' in stream.getvalue()


def test_a_console_line() -> None:
    """The same words in columns, without colors where there is no terminal."""
    stream = io.StringIO()
    logs.configure("info", "console", stream)
    structlog.get_logger().info("what happened", user_id="u", attempts=3)
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[info +\] what happened +user_id=u attempts=3\n"
    assert re.fullmatch(pattern, stream.getvalue())


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    """Colors are for terminals, too."""
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        logs.configure("info", "auto", stream)
        structlog.get_logger().info("e")
    assert "\x1b[" in terminal.getvalue()
    assert json_lines(pipe)[0]["event"] == "e"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_less_important_lines_are_left_out(level: str) -> None:
    """From the level on, for structlog's loggers and for the runtime's."""
    names = ["debug", "info", "warning", "error", "critical"]
    stream = io.StringIO()
    logs.configure(level, "json", stream)
    for name in names:
        getattr(structlog.get_logger(), name)("structlog")
        getattr(logging.getLogger("actors.any"), name)("logging")
    expected = [(name, event) for name in names[names.index(level) :] for event in ("structlog", "logging")]
    assert [(line["level"], line["event"]) for line in json_lines(stream)] == expected


def test_foreign_libraries_are_quiet_at_debug() -> None:
    """Their details are for their authors (aiosqlite would log every statement)."""
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    logging.getLogger("aiosqlite").debug("statement")
    logging.getLogger("aiohttp.server").info("of interest")
    assert [line["event"] for line in json_lines(stream)] == ["of interest"]


def test_standard_logging_looks_the_same() -> None:
    """Arguments are filled in, `extra` becomes fields, and the logger is named."""
    logging.getLogger().handlers.clear()  # pytest's own would add a `message` to the record
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.contextvars.bind_contextvars(request_id="r")
    logging.getLogger("actors.alarms").warning("late by %d ms", 7, extra={"actor": "u", "due_ms": 5})
    [line] = json_lines(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    del line["timestamp"]
    assert line == {
        "level": "warning", "event": "late by 7 ms", "actor": "u", "due_ms": 5, "request_id": "r",
        "logger": "actors.alarms",
    }  # fmt: skip


def test_an_exception_stays_on_the_line() -> None:
    """In JSON the traceback is a member; the message may have line breaks."""
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    try:
        fail("first\nsecond")
    except ValueError:
        structlog.get_logger().exception("ours")
        logging.getLogger("actors").exception("theirs")
    for line in json_lines(stream):
        assert line["level"] == "error"
        assert line["exception"].startswith("Traceback (most recent call last):\n")
        assert line["exception"].endswith("ValueError: first\nsecond")
        assert "exc_info" not in line


def test_an_exception_on_the_console_shows_no_local_variables() -> None:
    """They hold what nobody meant to log."""
    local = "value" + "-of-a-local"
    stream = io.StringIO()
    logs.configure("info", "console", stream)
    try:
        fail(len(local))
    except ValueError:
        structlog.get_logger().exception("ours")
    assert "ValueError: 13" not in stream.getvalue().split("\n")[0]
    assert "ValueError: " in stream.getvalue()
    assert local not in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (ValueError("x"), "ValueError('x')"),
        ("\ud800", "\\ud800"),
        (Outage("it's down"), "it's down"),
        (Unspeakable(), "<Unspeakable>"),
        ([Unspeakable()], ["<Unspeakable>"]),
        (float("nan"), None),
        (2**70, 2**70),
        ({1: {"a"}}, {"1": ["a"]}),
        ("a\n\x00\x1b", "a\n\x00\x1b"),
    ],
)
def test_odd_values_do_no_harm(value: Any, shown: Any) -> None:
    """Whatever is bound, a line comes out and nothing is raised."""
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.get_logger().info("e", value=value)
    assert json_lines(stream)[0]["value"] == shown


def test_a_list_in_itself() -> None:
    """The one value that never ends."""
    value: list[Any] = []
    value.append(value)
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    structlog.get_logger().info("e", value=value, other=Unspeakable())
    assert json_lines(stream)[0] | {"timestamp": ""} == {
        "timestamp": "", "level": "info", "event": "e", "value": "[[...]]", "other": "<Unspeakable>"
    }  # fmt: skip


def test_what_has_no_column_is_shown_as_json() -> None:
    """A console line is not worth a crash."""
    stream = io.StringIO()
    logs.configure("info", "console", stream)
    structlog.get_logger().info("e", value=Unspeakable())
    assert json_lines(stream)[0]["value"] == "<Unspeakable>"


def test_a_wrong_logging_call_of_a_library(capsys: pytest.CaptureFixture[str]) -> None:
    """Its words come out without the arguments, and nothing is raised or written elsewhere."""
    logging.getLogger().handlers.clear()  # pytest's own would raise
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    logging.getLogger("actors").info("%d VMs", "s3cret", extra={"user": "u"})
    [line] = json_lines(stream)
    assert (line["event"], line["user"]) == ("'%d VMs'", "u")
    assert capsys.readouterr().err == ""


# --- secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret", ["s3cret-token", 'a"b-token', "a\\b-token", "it's\"\\-token", "12345678", "a.*b-token", "</script>"]
)
@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_secret_in_any_part_of_a_line(secret: str, format_: Any) -> None:
    """In the event, a field, a container, an object, a number, a traceback, another library's message."""
    stream = io.StringIO()
    logs.configure("info", format_, stream, secrets=["other", secret])
    logger = structlog.get_logger()
    logger.info("with %s in it", secret, user_id="kept")
    logger.info("e", a=secret, b=f"Bearer {secret}", c={f"x{secret}": [secret, f"{secret}y"]}, d=ValueError(secret))
    logger.info("e", n=1234567890)
    logging.getLogger("actors").warning("with %s", secret, extra={"header": f"Bearer {secret}"})
    try:
        fail(secret)
    except ValueError:
        logger.exception("e")
    text = stream.getvalue()
    forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    if format_ == "json":
        values = [json.dumps([*line.values()]) for line in json_lines(stream)]
        assert not [value for value in values for form in forms if form in value]
    assert text.count(logs.REDACTED) >= 8
    assert not [form for form in forms if form in text]
    assert "kept" in text


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl_-"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (JWT, "[redacted]"),
        (f"Bearer {JWT}, and more", "Bearer [redacted], and more"),
        (f"/x?access_token={JWT}&y=1", "/x?access_token=[redacted]&y=1"),
        (JWT.rpartition(".")[0] + ".", "[redacted]"),  # without a signature
        ([{"header": JWT}], [{"header": "[redacted]"}]),
        ("eyJ", "eyJ"),
        ("eyJhbGciOi.", "eyJhbGciOi."),
        (JWT.rpartition(".")[0], JWT.rpartition(".")[0]),
        ("EYJhbGci.eYJz.c2ln", "EYJhbGci.eYJz.c2ln"),
    ],
)
@pytest.mark.parametrize("secrets", [[], ["s3cret-token"]])
def test_tokens_of_users_are_known_by_their_look(value: Any, shown: Any, secrets: list[str]) -> None:
    """A JWT is taken out wherever it stands, though nobody has named it; what only begins like one stays."""
    stream = io.StringIO()
    logs.configure("info", "json", stream, secrets=secrets)
    structlog.get_logger().info("e", value=value)
    assert json_lines(stream)[0]["value"] == shown


def test_the_longest_secret_first() -> None:
    """Of two secrets that begin alike nothing is left over."""
    stream = io.StringIO()
    logs.configure("info", "json", stream, secrets=["abcdefgh", "", "abcdefghij"])
    structlog.get_logger().info("e", value="abcdefghijabcdefgh")
    assert json_lines(stream)[0]["value"] == "[redacted][redacted]"


def test_a_secret_that_is_a_fields_name() -> None:
    """The names are the code's own words, and machines look lines up by them."""
    stream = io.StringIO()
    logs.configure("info", "json", stream, secrets=["timestamp"])
    structlog.get_logger().info("a timestamp", other="timestamp")
    assert list(json_lines(stream)[0]) == ["timestamp", "level", "event", "other"]
    assert json_lines(stream)[0]["event"] == "a [redacted]"


@pytest.mark.parametrize(("secret", "shown"), [("1234567", "1234567"), ("12345678", "[redacted]")])
def test_what_is_too_short_to_be_a_secret_is_left(secret: str, shown: str) -> None:
    """A token of a letter or two stands in every other word: replacing it would mangle the contract's lines."""
    stream = io.StringIO()
    logs.configure("info", "json", stream, secrets=[secret])
    structlog.get_logger().info("e", value=secret)
    assert json_lines(stream)[0]["value"] == shown


@seeded
@given(
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=16),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    around=st.text(),
)
def test_redacted_lines_are_json_without_the_secret(secret: str, value: Any, around: str) -> None:
    """For any secret and any value: one line, valid JSON, and the secret in no value."""
    stream = io.StringIO()
    logs.configure("info", "json", stream, secrets=[secret])
    structlog.get_logger().info("e", a=value, b=f"{around}{secret}{around}")
    [line] = json_lines(stream)
    assert_without(line["a"], secret)
    assert_without(line["b"], secret)


def assert_without(value: Any, secret: str) -> None:
    """Fail if the secret is in a string, a name or a number of `value`; the marker itself may look like one."""
    match value:
        case dict():
            for name, each in value.items():
                assert_without(name, secret)
                assert_without(each, secret)
        case list():
            for each in value:
                assert_without(each, secret)
        case _:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            assert not [part for part in text.split(logs.REDACTED) if secret in part]


# --- configuration ---------------------------------------------------------------------------------------


def test_the_last_configuration_counts() -> None:
    """Also for loggers that were used before, and every line is written once."""
    first, second = io.StringIO(), io.StringIO()
    ours, theirs = structlog.get_logger(), logging.getLogger("actors")
    logs.configure("info", "json", first)
    ours.info("a")
    theirs.info("a")
    logs.configure("warning", "json", second)
    for logger in (ours, theirs):
        logger.info("b")
        logger.warning("c")
    assert [line["event"] for line in json_lines(first)] == ["a", "a"]
    assert [line["event"] for line in json_lines(second)] == ["c", "c"]


def test_other_handlers_stay() -> None:
    """A test runner's or an error tracker's handler is none of our business."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    logs.configure("info", "json", io.StringIO())
    assert handler in logging.getLogger().handlers


def test_lines_can_be_captured() -> None:
    """`structlog.testing.capture_logs` works in tests after any configuration."""
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    logger = structlog.get_logger()
    logger.info("before")
    with structlog.testing.capture_logs() as captured:
        logger.info("captured", user_id="u")
    assert captured == [{"event": "captured", "user_id": "u", "log_level": "info"}]
    assert [line["event"] for line in json_lines(stream)] == ["before"]


@pytest.mark.parametrize("bound", [False, True], ids=["new", "bound before"])
def test_the_level_changes_in_place(*, bound: bool) -> None:
    """For loggers that somebody keeps as well, ours and the standard library's."""
    stream = io.StringIO()
    made = logs.configure("info", "json", stream)
    log = structlog.get_logger().bind() if bound else structlog.get_logger()
    for level in ("warning", "info", "error", "debug"):
        made.reconfigure(level)
        for said in ("debug", "info", "warning", "error"):
            getattr(log, said)(f"{said} at {level}")
            getattr(logging.getLogger("actors.x"), said)(f"{said} at {level}, standard")
    seen = [line["event"] for line in json_lines(stream)]
    names = ("debug", "info", "warning", "error")
    expected = [
        f"{said} at {level}{kind}"
        for level in ("warning", "info", "error", "debug")
        for said in names[names.index(level) :]
        for kind in ("", ", standard")
    ]
    assert seen == expected


@pytest.mark.parametrize("format_", ["json", "console"])
def test_new_secrets_are_redacted_and_old_ones_stay_so(format_: Any) -> None:
    """By a logger that was bound before: what is under way may still speak of the old one."""
    stream = io.StringIO()
    made = logs.configure("info", format_, stream, secrets=["old-s3cret"])
    log = structlog.get_logger().bind()
    made.reconfigure("info", ["new-s3cret", "short"])
    log.info("said", of="old-s3cret and new-s3cret, cut short")
    assert "s3cret" not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 2
    assert "cut short" in stream.getvalue()

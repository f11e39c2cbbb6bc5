"""The field table of CONTRACT §1: what is accepted, what is refused, and in which words."""

from typing import Any

import pytest
from http_driven import BALANCER, NODE, lab_body
from hypothesis import given
from hypothesis import strategies as st

from labsessions.core.messages import ExtendBy, ExtendUntil
from labsessions.core.model import Lab, LabChanges
from labsessions.http.checks import MAX_DEPTH, MAX_FAULTS, MAX_USER_ID
from labsessions.http.errors import RefusedError
from labsessions.http.extension import extension
from labsessions.http.fields import SessionFields
from labsessions.http.wire import parse_object

FIELDS = SessionFields(43_200, 43_200)
REQUIRED = tuple(lab_body())
INT64 = 1 << 63


def lab(**changes: Any) -> Lab:
    """The lab of a POST with these changes."""
    return FIELDS.lab(lab_body(**changes), new_id="new")


def refusal(**changes: Any) -> str:
    """The words that refuse a POST with these changes."""
    with pytest.raises(RefusedError) as caught:
        lab(**changes)
    assert caught.value.problem.status == 400
    return caught.value.problem.text


def nested(levels: int) -> Any:
    """A value with so many levels of arrays."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("absent", [True, False])
def test_absent_and_null_are_missing(name: str, absent: bool) -> None:  # noqa: FBT001 - pytest passes by name
    """A required member that is absent or null is missing, and named."""
    body = lab_body(**{name: None})
    if absent:
        del body[name]
    with pytest.raises(RefusedError) as caught:
        FIELDS.lab(body, new_id="new")
    assert caught.value.problem.text == f"Missing required fields: {name}"
    assert caught.value.problem.code == "missing_fields"


def test_missing_are_listed_in_the_contracts_order() -> None:
    """All missing members are named, in the order of the contract, not of the body."""
    assert refusal(vm=None, labId=None, duration=None) == "Missing required fields: labId, duration, vm"


@pytest.mark.parametrize(
    "name",
    [
        *("labId", "labTitle", "labGroupID", "moduleID", "counterID", "configId", "workerConfigId", "terminal_url"),
        *("vscode_domain", "puku_domain"),
    ],
)
@pytest.mark.parametrize(
    ("value", "got"), [(1, "1"), (1.5, "1.5"), (False, "a boolean"), ([], "an array"), ({}, "an object")]
)
def test_strings(name: str, value: Any, got: str) -> None:
    """A string is a string, and may be empty."""
    assert refusal(**{name: value}) == f"Field '{name}' must be a string, got {got}"
    lab(**{name: ""})


@pytest.mark.parametrize("name", ["id", "lab_request_id"])
def test_filled_strings(name: str) -> None:
    """Ids must not be empty."""
    assert refusal(**{name: ""}) == f"Field '{name}' must be a non-empty string, got an empty string"
    assert refusal(**{name: 5}) == f"Field '{name}' must be a non-empty string, got 5"
    lab(**{name: " "})


@pytest.mark.parametrize("user_id", ["a", "x" * MAX_USER_ID, "a/b?c#d%", "..", "日本語", "😀", "{a}", "a b"])
def test_user_ids(user_id: str) -> None:
    """Any printable Unicode is an id."""
    assert lab(user_id=user_id).user_id == user_id


@pytest.mark.parametrize(
    ("user_id", "got"),
    [
        ("", "an empty string"),
        ("x" * (MAX_USER_ID + 1), "513 characters"),
        ("a\nb", "one that is not printable"),
        ("a\x00", "one that is not printable"),
        ("\u202eabc", "one that is not printable"),
        (7, "7"),
    ],
)
def test_user_ids_refused(user_id: Any, got: str) -> None:
    """An id is 1 to 512 printable characters."""
    assert refusal(user_id=user_id) == (f"Field 'user_id' must be a string of 1 to 512 printable characters, got {got}")


@pytest.mark.parametrize("duration", [1, 0.05, 1e-300, 43_199.99, 43_200, 43_200.0])
def test_durations(duration: float) -> None:
    """More than 0 minutes, up to and including the limit; fractions too."""
    assert lab(duration=duration).duration == duration


@pytest.mark.parametrize(
    ("duration", "got"), [(0, "0"), (-1, "-1"), (-0.0, "-0.0"), (True, "a boolean"), ("5", "a string")]
)
def test_durations_refused(duration: Any, got: str) -> None:
    """Neither 0 nor less, and a boolean is no number."""
    assert refusal(duration=duration) == (f"Field 'duration' must be a number of minutes greater than 0, got {got}")


@pytest.mark.parametrize(
    ("duration", "got"), [(43_200.001, "43200.001"), (43_201, "43201"), (10**30, "1" + "0" * 30), (1e300, "1e+300")]
)
def test_durations_over_the_limit(duration: float, got: str) -> None:
    """The limit is named."""
    assert refusal(duration=duration) == f"Field 'duration' must be at most 43200 minutes, got {got}"


def test_the_limit_on_all_that_a_lab_may_last() -> None:
    """A PUT may go as far as extensions; a POST as far as a lab may begin with, and never further than all."""
    fields = SessionFields(60, 120)
    assert fields.changes({"duration": 120}).duration == 120
    for build, body, limit in (
        (fields.changes, {"duration": 120.5}, 120),
        (lambda body: fields.lab(body, "new"), lab_body(duration=60.5), 60),
        (lambda body: SessionFields(120, 60.0).lab(body, "new"), lab_body(duration=60.5), 60),
    ):
        with pytest.raises(RefusedError, match=f"Field 'duration' must be at most {limit} minutes"):
            build(body)


@pytest.mark.parametrize("factor", [1, 1.0, 1.5, 10, 10.0, 1.0000001])
def test_time_factors(factor: float) -> None:
    """From everybody's time to ten times as much; absent and null are everybody's."""
    assert lab(time_factor=factor).time_factor == factor
    assert lab().time_factor == lab(time_factor=None).time_factor == 1


@pytest.mark.parametrize(
    ("factor", "got"),
    [(0.999, "0.999"), (0, "0"), (-2, "-2"), (10.001, "10.001"), (True, "a boolean"), ("2", "a string")],
)
def test_time_factors_refused(factor: Any, got: str) -> None:
    """Nobody has less time than others, nor without end."""
    assert refusal(time_factor=factor) == f"Field 'time_factor' must be a number from 1 to 10, got {got}"


def extension_refused(**body: Any) -> str:
    """The words that refuse this request for more time."""
    with pytest.raises(RefusedError) as caught:
        extension(body)
    assert (caught.value.problem.status, caught.value.problem.code) == (400, "invalid_field")
    return caught.value.problem.text


@pytest.mark.parametrize("minutes", [1, -1, 0.05, 1e-300, -1e300, 10**30])
def test_minutes_more(minutes: float) -> None:
    """Any number but 0: how much of it is granted is for the session to say."""
    assert extension({"minutes": minutes}) == ExtendBy(minutes)


@pytest.mark.parametrize(
    ("minutes", "got"),
    [(0, "0"), (0.0, "0.0"), (-0.0, "-0.0"), (True, "a boolean"), ("5", "a string"), ([], "an array")],
)
def test_minutes_more_refused(minutes: Any, got: str) -> None:
    """A request for nothing is a mistake."""
    assert extension_refused(minutes=minutes) == f"Field 'minutes' must be a number of minutes other than 0, got {got}"


@pytest.mark.parametrize(
    ("until", "instant_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2027-01-15T08:00:00.000Z", 1_800_000_000_000),
        ("2027-01-15T09:30:00.123+01:30", 1_800_000_000_123),
        ("2027-01-15T08:00:00.000001Z", 1_800_000_000_001),
        ("2027-01-15T08:00:00.001Z", 1_800_000_000_001),
        ("2027-01-15T08:00:00.001001Z", 1_800_000_000_002),
        ("1969-12-31T23:59:59.9989Z", -1),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("9999-12-31T23:59:59.999-23:59", 253_402_387_139_999),
    ],
)
def test_until(until: str, instant_ms: int) -> None:
    """An instant to the millisecond, rounded up: never a millisecond short."""
    assert extension({"until": until}) == ExtendUntil(instant_ms)


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ("2027-01-15T08:00:00", "an ISO 8601 timestamp with an offset, e.g. 2027-01-15T09:00:00Z, got one without"),
        ("2027-01-15", "an ISO 8601 timestamp with an offset, e.g. 2027-01-15T09:00:00Z, got one without"),
        ("tomorrow", "an ISO 8601 timestamp, got another string"),
        ("", "an ISO 8601 timestamp, got an empty string"),
        (1_800_000_000_000, "an ISO 8601 timestamp, got 1800000000000"),
        (True, "an ISO 8601 timestamp, got a boolean"),
    ],
)
def test_until_refused(until: Any, words: str) -> None:
    """Eight o'clock is another instant in every zone, so the zone must be said."""
    assert extension_refused(until=until) == f"Field 'until' must be {words}"


@pytest.mark.parametrize(
    "instant", ["2027-01-15T08:00:00.000Z", "2027-01-15T08:00:00+01:00", "2027-01-15T08:00:00", "2027-01-15"]
)
def test_timestamps(instant: str) -> None:
    """ISO 8601 as Python reads it; kept as sent."""
    assert lab(activatedAt=instant).activated_at == instant


@pytest.mark.parametrize(
    ("instant", "got"),
    [
        ("", "an empty string"),
        ("yesterday", "another string"),
        ("2027-02-30T00:00:00Z", "another string"),
        (1_800_000_000, "1800000000"),
        (False, "a boolean"),
    ],
)
def test_timestamps_refused(instant: Any, got: str) -> None:
    """Anything else is no timestamp; the string itself is not repeated."""
    assert refusal(activatedAt=instant) == f"Field 'activatedAt' must be an ISO 8601 timestamp, got {got}"


@given(st.text(max_size=40))
def test_no_string_breaks_the_timestamp_check(text: str) -> None:
    """Whatever the string, it is accepted or refused."""
    body = lab_body(activatedAt=text)
    try:
        FIELDS.lab(body, new_id="new")
    except RefusedError as refused:
        assert refused.problem.text.startswith("Field 'activatedAt'")  # noqa: PT017 - both outcomes are fine


@pytest.mark.parametrize("validation", [0, -1, INT64 - 1, -INT64])
def test_integers(validation: int) -> None:
    """Any integer that SQLite can store; 0 is a value."""
    assert lab(validation=validation).validation == validation


@pytest.mark.parametrize(
    ("validation", "got"),
    [
        (INT64, "9223372036854775808"),
        (-INT64 - 1, "-9223372036854775809"),
        (1.0, "1.0"),
        (True, "a boolean"),
        ("0", "a string"),
    ],
)
def test_integers_refused(validation: Any, got: str) -> None:
    """No fraction, not even `.0`, no boolean, no more than 64 bits."""
    assert refusal(validation=validation) == (
        f"Field 'validation' must be an integer from -9223372036854775808 to 9223372036854775807, got {got}"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vm": []}, "Field 'vm' must be an object, got an array"),
        ({"vm": {"name": "m", "network_id": "n"}}, "Field 'vm.netbird_ip' is missing"),
        (
            {"vm": {"name": None, "network_id": 1, "netbird_ip": ""}},
            "Field 'vm.name' must be a string, got null; Field 'vm.network_id' must be a string, got 1",
        ),
        ({"worker_nodes": {}}, "Field 'worker_nodes' must be an array, got an object"),
        ({"worker_nodes": [NODE, None]}, "Field 'worker_nodes[1]' must be an object, got null"),
        (
            {"worker_nodes": [NODE, NODE | {"worker_lab_request_id": ""}]},
            "Field 'worker_nodes[1].worker_lab_request_id' must be a non-empty string, got an empty string",
        ),
        ({"loadBalancers": "lb"}, "Field 'loadBalancers' must be an array, got a string"),
        (
            {"loadBalancers": [BALANCER | {"port": 65_536}]},
            "Field 'loadBalancers[0].port' must be an integer from 0 to 65535, got 65536",
        ),
        (
            {"loadBalancers": [BALANCER | {"port": "80"}]},
            "Field 'loadBalancers[0].port' must be an integer from 0 to 65535, got a string",
        ),
        (
            {"loadBalancers": [BALANCER | {"port": -1, "id": 3}]},
            (
                "Field 'loadBalancers[0].id' must be a string, got 3; "
                "Field 'loadBalancers[0].port' must be an integer from 0 to 65535, got -1"
            ),
        ),
    ],
)
def test_nested_faults(changes: dict[str, Any], words: str) -> None:
    """A fault inside a member is named by its path."""
    assert refusal(**changes) == words


def test_nested_members_are_kept() -> None:
    """What is not in the table stays in `vm` and in the items, in every JSON type."""
    more = {"a": None, "b": [1, {"c": 2.5}], "d": True, "e": "é"}
    made = lab(worker_nodes=[NODE | more], loadBalancers=[BALANCER | more | {"port": 65_535}, BALANCER | {"port": 0}])
    assert made.worker_nodes == [NODE | more]
    assert made.load_balancers == [BALANCER | more | {"port": 65_535}, BALANCER | {"port": 0}]


def test_depth_is_bounded() -> None:
    """What is accepted can be read back from the storage: nesting ends far before the JSON library gives up."""
    vm = lab_body()["vm"]
    lab(vm=vm | {"deep": nested(MAX_DEPTH - 2)})
    lab(vm=vm | {"deep": nested(MAX_DEPTH - 1)})
    assert refusal(vm=vm | {"deep": nested(MAX_DEPTH)}) == ("Field 'vm' must be at most 32 levels deep, got more")
    assert refusal(worker_nodes=[NODE | {"deep": {"a": nested(MAX_DEPTH - 1)}}]) == (
        "Field 'worker_nodes[0]' must be at most 32 levels deep, got more"
    )


def test_faults_are_bounded() -> None:
    """A long list of wrong items is answered with the first faults."""
    text = refusal(worker_nodes=[1] * 1000)
    assert text.count("must be an object") == MAX_FAULTS
    assert text.endswith("Field 'worker_nodes[4]' must be an object, got 1")


def test_optional_members() -> None:
    """Absent and null are the same; the given id is taken, else the new one."""
    assert lab().id == "new"
    assert lab(id="mine", worker_nodes=None).id == "mine"
    assert lab(id=None, vscode_domain=None).vscode_domain is None
    assert lab(worker_nodes=[]).worker_nodes == []


def test_changes_leave_the_rest_untouched() -> None:
    """Members that a PUT doesn't name are UNSET; members that it cannot change are not even looked at."""
    assert FIELDS.changes({"duration": 5, "vm": 7, "id": 0}) == LabChanges(duration=5)
    assert FIELDS.changes({"loadBalancers": [], "worker_nodes": [NODE], "puku_domain": ""}) == LabChanges(
        load_balancers=[], worker_nodes=[NODE], puku_domain=""
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "empty_body"),
        ({"duration": None}, "no_valid_fields"),
        ({"activatedAt": "2027-01-15"}, "no_valid_fields"),
        ({"duration": 0}, "invalid_field"),
        ({"worker_nodes": [{}]}, "invalid_field"),
    ],
)
def test_changes_refused(body: dict[str, Any], code: str) -> None:
    """Empty, nothing to change, and wrong are three different answers."""
    with pytest.raises(RefusedError) as caught:
        FIELDS.changes(body)
    assert caught.value.problem.code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}x',
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        rb'{"a":"\ud800"}',
        rb'{"a":"\ud800\u0041 and more"}',
        rb'{"a":"\udc00 and more text"}',
        rb'{"\ud800":1}',
        b'{"a":' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)
def test_invalid_json(body: bytes) -> None:
    """What isn't JSON, or could not be sent again as it came, is refused."""
    with pytest.raises(RefusedError) as caught:
        parse_object(body)
    assert caught.value.problem.text == "Invalid JSON in request body"


@pytest.mark.parametrize(("body", "value"), [(b" {} ", {}), (rb'{"a":"\ud83d\ude00\u0000"}', {"a": "😀\x00"})])
def test_valid_json(body: bytes, value: dict[str, Any]) -> None:
    """White space, and escapes are as JSON has them."""
    assert parse_object(body) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["minutes", "until"]), JSON | st.datetimes().map(str)))
def test_any_json_extends_or_is_refused(body: dict[str, Any]) -> None:
    """No value of any member leads to anything but a message or a refusal."""
    try:
        assert isinstance(extension(body), ExtendBy | ExtendUntil)
    except RefusedError as refused:
        assert refused.problem.status == 400  # noqa: PT017 - both outcomes are fine


@given(
    st.dictionaries(
        st.sampled_from([*REQUIRED, "id", "worker_nodes", "loadBalancers", "puku_domain", "time_factor"]), JSON
    )
)
def test_any_json_is_taken_or_refused(changes: dict[str, Any]) -> None:
    """No value of any member, on POST or PUT, leads to anything but a lab or a refusal."""
    for build in (lambda: lab(**changes), lambda: FIELDS.changes(changes)):
        try:
            assert isinstance(build(), Lab | LabChanges)
        except RefusedError as refused:
            assert refused.problem.status == 400  # noqa: PT017 - both outcomes are fine

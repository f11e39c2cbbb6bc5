"""What is wrong with settings is said at once, in one message, each fault on one line with its place."""

import math
from pathlib import Path

import pytest

from labsessions.settings import SettingsError, load

KEY = "k" * 32
ISSUED = {"LABSESSIONS_JWT__ISSUER": "https://id.test/", "LABSESSIONS_JWT__AUDIENCE": "labs"}


def faults(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> list[str]:
    """The faults of these sources; an empty list if there are none."""
    try:
        load(flags or {}, environ or {}, file)
    except SettingsError as error:
        return error.faults
    return []


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("PORT", "x", "port = 'x' from {}: input should be a valid integer, unable to parse string as an integer"),
        ("PORT", "-1", "port = '-1' from {}: input should be greater than or equal to 0"),
        ("PORT", "65536", "port = '65536' from {}: input should be less than or equal to 65535"),
        ("HOST", "a b", "host = 'a b' from {}: input should be a host name or an IP address"),
        (
            "INSECURE",
            "maybe",
            "insecure = 'maybe' from {}: input should be a valid boolean, unable to interpret input",
        ),
        ("SHUTDOWN_SECONDS", "nan", "shutdown_seconds = 'nan' from {}: input should be a finite number"),
        (
            "LOG__LEVEL",
            "loud",
            "log.level = 'loud' from {}: input should be 'debug', 'info', 'warning', 'error' or 'critical'",
        ),
        ("LOG__FORMAT", "xml", "log.format = 'xml' from {}: input should be 'auto', 'console' or 'json'"),
        (
            "API__CORS_ORIGINS",
            "*,https://a/",
            (
                "api.cors_origins = '*,https://a/' from {}: item 2: "
                'input should be "*" or an origin like "https://labs.example"'
            ),
        ),
        (
            "CLEANUP__GONE_STATUSES",
            "[410",
            "cleanup.gone_statuses = '[410' from {}: input should be a JSON array or separated by commas",
        ),
        (
            "CLEANUP__GONE_STATUSES",
            "[410, true]",
            "cleanup.gone_statuses = '[410, true]' from {}: item 2: input should be a number, not a boolean",
        ),
        (
            "CLEANUP__GONE_STATUSES",
            "399",
            "cleanup.gone_statuses = '399' from {}: item 1: input should be greater than or equal to 400",
        ),
        (
            "WARNINGS__LEAD_MINUTES",
            "5,0",
            "warnings.lead_minutes = '5,0' from {}: item 2: input should be greater than or equal to 0.001",
        ),
        (
            "WARNINGS__LEAD_MINUTES",
            "1441",
            "warnings.lead_minutes = '1441' from {}: item 1: input should be less than or equal to 1440",
        ),
        (
            "CLEANUP__CONCURENCY",
            "3",
            "{}: unknown environment variable; did you mean LABSESSIONS_CLEANUP__CONCURRENCY?",
        ),
        ("CONFG", "x", "{}: unknown environment variable; did you mean LABSESSIONS_CONFIG?"),
        ("CLEANUP", "{}", "{}: unknown environment variable"),
        ("XYZZY__Q", "x", "{}: unknown environment variable"),
        ("API_TOKEN", "x", "{}: unknown environment variable; did you mean API_TOKEN?"),
        ("BACKEND__API_URL", "x", "{}: unknown environment variable; did you mean BACKEND_API_URL?"),
    ],
)
def test_faults_of_the_environment(name: str, value: str, fault: str) -> None:
    """Each fault names the variable, the value and what was expected; an unknown name gets a suggestion."""
    variable = f"LABSESSIONS_{name}"
    assert faults(environ={variable: value}) == [fault.replace("{}", variable, 1)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("port = true", "port = True from {}: input should be a number, not a boolean"),
        ("port = 1.5", "port = 1.5 from {}: input should be a valid integer, got a number with a fractional part"),
        ("host = 3", "host = 3 from {}: input should be a valid string"),
        ("data_dir = ['x']", "data_dir = ['x'] from {}: input should be a path"),
        ("prot = 3", "prot in {}: unknown key; did you mean port?"),
        (
            "[cleanup]\nretry_interval = 3",
            "cleanup.retry_interval in {}: unknown key; did you mean cleanup.retry_interval_seconds?",
        ),
        ("[xyzzy]\na = 1\nb = 2", "xyzzy in {}: unknown key"),
        ("cleanup = 3", "cleanup in {}: is a section, write [cleanup]"),
        ("[port]\ntoken = 's3cret'", "port in {}: is a value, not a section"),
        ("[actors]\nidle_seconds = inf", "actors.idle_seconds = inf from {}: input should be a finite number"),
        (
            "[log]\nlevel = 3",
            "log.level = 3 from {}: input should be 'debug', 'info', 'warning', 'error' or 'critical'",
        ),
        ("[api]\ncors_origins = 3", "api.cors_origins = 3 from {}: input should be a valid tuple"),
        ("[api]\ncors_origins = [3]", "api.cors_origins = [3] from {}: item 1: input should be a valid string"),
        (f"host = 'a {'b' * 100}'", f"host = 'a {'b' * 77}… from {{}}: input should be a host name or an IP address"),
        ("host = ", "config file {}: is not valid TOML: Invalid value (at end of document)"),
    ],
)
def test_faults_of_the_config_file(tmp_path: Path, text: str, fault: str) -> None:
    """Likewise, and a file that isn't TOML is a fault of its own."""
    path = tmp_path / "c.toml"
    path.write_text(text, "utf-8")
    assert faults(file=path) == [fault.replace("{}", str(path))]


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("backend_api_url = 's3cret'", "BACKEND_API_URL"),
        ("[backend]\nurl = 's3cret'", "BACKEND_API_URL"),
        ("[backend]\napi_uri = 's3cret'", "BACKEND_API_URL"),
        ("[backend]\ntoken = 's3cret'", "BACKEND_API_TOKEN"),
        ("BACKEND_API_TOKEN = 's3cret'", "BACKEND_API_TOKEN"),
        ("[backend]\npassword = 's3cret'", "BACKEND_API_TOKEN"),
        ("api_token = 's3cret'", "API_TOKEN"),
        ("[api]\ntokens = ['s3cret']", "API_TOKEN"),
        ("[api]\nkey = 's3cret'", "API_TOKEN"),
        ("[secrets]\napi_tokens = ['s3cret']", "API_TOKEN"),
        ("admin_token = 's3cret'", "ADMIN_TOKEN"),
        ("[api]\nadmin_tokens = ['s3cret']", "ADMIN_TOKEN"),
        ("[jwt]\nkey = 's3cret'", "JWT_HS256_KEY"),
        ("[jwt]\nhs256_key = 's3cret'", "JWT_HS256_KEY"),
        ("JWT_HS256_KEY = 's3cret'", "JWT_HS256_KEY"),
        ("[jwt]\nsecret = 's3cret'", "JWT_HS256_KEY"),
    ],
)
def test_secrets_are_refused_in_a_config_file(tmp_path: Path, text: str, instead: str) -> None:
    """The message tells the variable to use and does not repeat the secret."""
    path = tmp_path / "c.toml"
    path.write_text(text, "utf-8")
    [fault] = faults(file=path)
    words = f"secrets don't belong in a config file; set {instead} or {instead}_FILE in the environment"
    assert fault.endswith(f" in {path}: {words}")
    assert "s3cret" not in fault


def test_a_config_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Absent, a folder, not text: each is a fault that names the path."""
    absent, binary = tmp_path / "absent", tmp_path / "binary"
    binary.write_bytes(b"host = '\xff'")
    assert faults(file=absent) == [f"config file {absent}: cannot be read: No such file or directory"]
    assert faults(file=tmp_path) == [f"config file {tmp_path}: cannot be read: Is a directory"]
    [fault] = faults(file=binary)
    assert fault.startswith(f"config file {binary}: is not valid TOML: ")


def test_faults_of_flags() -> None:
    """A flag is named as it is typed."""
    assert faults({"data_dri": "x", "port": 65_536}) == [
        "--data-dri: unknown flag; did you mean --data-dir?",
        "port = 65536 from --port: input should be less than or equal to 65535",
    ]


# The numbers: least and most that are allowed, and the nearest that are not.
RANGES = [
    ("PORT", (0, -1), (65_535, 65_536)),
    ("SHUTDOWN_SECONDS", (0, -0.001), (10, 10.001)),
    ("API__MAX_BODY_BYTES", (1024, 1023), (16_777_216, 16_777_217)),
    ("API__MAX_DURATION_MINUTES", (math.ulp(0), 0), (5_270_400, 5_270_400.001)),
    ("API__RATE_PER_SECOND", (0, -0.001), (100_000, 100_000.001)),
    ("API__RATE_BURST", (1, 0), (100_000, 100_001)),
    ("BACKEND__CALL_TIMEOUT_SECONDS", (0.01, 0.009), (600, 600.001)),
    ("BACKEND__QUICK_RETRIES", (0, -1), (10, 11)),
    ("BACKEND__MAX_RESPONSE_BYTES", (0, -1), (16_777_216, 16_777_217)),
    ("CLEANUP__RETRY_INTERVAL_SECONDS", (0.01, 0.009), (86_400, 86_400.001)),
    ("CLEANUP__RETRY_SPREAD", (0, -0.001), (0.1, 0.101)),
    ("CLEANUP__ATTEMPT_TIMEOUT_SECONDS", (0.01, 0.009), (3600, 3600.001)),
    ("CLEANUP__STUCK_AFTER_ATTEMPTS", (1, 0), (1_000_000, 1_000_001)),
    ("CLEANUP__CONCURRENCY", (2, 1), (10_000, 10_001)),
    ("CLEANUP__SLOW_AFTER_SECONDS", (0.01, 0.009), (3600, 3600.001)),
    ("CLEANUP__SLOW_CONCURRENCY", (0, -1), (10_000, 10_001)),
    ("CLEANUP__RATE_PER_SECOND", (0, -0.001), (100_000, 100_000.001)),
    ("CLEANUP__GONE_STATUSES", (400, 399), (599, 600)),
    ("ACTORS__IDLE_SECONDS", (0, -0.001), (86_400, 86_400.001)),
    ("ACTORS__MAX_RESIDENT", (1, 0), (10_000_000, 10_000_001)),
]


@pytest.mark.parametrize(("name", "least", "most"), RANGES)
def test_ranges(name: str, least: tuple[float, float], most: tuple[float, float]) -> None:
    """The ends belong to the range, what lies next to them does not."""
    variable = f"LABSESSIONS_{name}"
    for allowed, refused in (least, most):
        assert faults(environ={variable: str(allowed)}) == []
        [fault] = faults(environ={variable: str(refused)})
        assert f"= {str(refused)!r} from {variable}: " in fault


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_token(host: str) -> None:
    """Only this machine reaches these."""
    assert faults({"host": host}) == []


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "126.255.255.255", "128.0.0.0", "::2", "localhost.example", "labs"],  # noqa: S104
)
def test_other_addresses_need_a_token(host: str) -> None:
    """Without one anybody could delete labs; a token or --insecure lifts the rule (CONTRACT §5)."""
    rule = "without a token only loopback addresses are allowed; set API_TOKEN or pass --insecure"
    assert faults({"host": host}) == [f"host = {host!r} from --host: {rule}"]
    assert faults({"host": host, "insecure": True}) == []
    assert faults({"host": host}, {"API_TOKEN": "t"}) == []
    assert faults({"host": host}, {"ADMIN_TOKEN": "t"}) == []
    assert faults({"host": host}, ISSUED | {"JWT_HS256_KEY": KEY}) == []
    assert faults({"host": host}, ISSUED | {"LABSESSIONS_JWT__JWKS_URL": "https://id.test/jwks"}) == []
    assert faults({"host": host}, ISSUED) == [f"host = {host!r} from --host: {rule}"]


def test_the_loopback_rule_waits_for_what_it_depends_on() -> None:
    """A token that cannot be read is one fault, not two."""
    [fault] = faults({"host": "::"}, {"API_TOKEN": "é"})
    assert fault.startswith("API_TOKEN: ")
    [fault] = faults({"host": "::"}, {"LABSESSIONS_INSECURE": "perhaps"})
    assert fault.startswith("insecure = ")
    [fault] = faults({"host": "::"}, {"LABSESSIONS_JWT__JWKS_URL": "ftp://id.test"})
    assert fault.startswith("jwt.jwks_url = ")


NEEDED = "jwt: tokens of users need jwt.issuer and jwt.audience as well"


@pytest.mark.parametrize("missing", [("ISSUER",), ("AUDIENCE",), ("ISSUER", "AUDIENCE")])
@pytest.mark.parametrize("key", [{"JWT_HS256_KEY": KEY}, {"LABSESSIONS_JWT__JWKS_URL": "https://id.test/jwks"}])
def test_a_key_alone_is_not_enough(key: dict[str, str], missing: tuple[str, ...]) -> None:
    """It would open the API for tokens that were made for others."""
    environ = {name: value for name, value in ISSUED.items() if not name.endswith(missing)}
    assert faults({}, environ | key) == [NEEDED]
    assert faults({}, ISSUED | key) == []


def test_issuer_and_audience_alone_do_no_harm() -> None:
    """They stand in a config file, and whoever makes a backup has not the key at hand."""
    assert faults({}, ISSUED) == []


def test_two_keys_are_a_fault() -> None:
    """Nobody could tell which one counts."""
    environ = ISSUED | {"JWT_HS256_KEY": KEY, "LABSESSIONS_JWT__JWKS_URL": "https://id.test/jwks"}
    assert faults({}, environ) == ["jwt: set either JWT_HS256_KEY or jwt.jwks_url, not both"]


JWKS_URL = "LABSESSIONS_JWT__JWKS_URL"
URL_RULE = "input should be http:// or https:// with a host, and without a password"


@pytest.mark.parametrize(
    "url", ["https://id.test/jwks", "http://localhost:8080/a/b?p=x", "https://[::1]/", "HTTPS://id.test"]
)
def test_where_keys_may_be(url: str) -> None:
    """A query is allowed: some providers want one."""
    assert faults({}, ISSUED | {"LABSESSIONS_JWT__JWKS_URL": url}) == []


@pytest.mark.parametrize(
    "url",
    [
        *("id.test", "ftp://id.test", "https://", "https://id.test/#x", "https://id.test/ x", "file:///etc/passwd"),
        *("https://id.test:0/", "https://id.test:x/", "https://[::1", "https://id.test\\x"),
    ],
)
def test_where_keys_cannot_be(url: str) -> None:
    """Nothing but the web."""
    assert faults({}, ISSUED | {JWKS_URL: url}) == [f"jwt.jwks_url = {url!r} from {JWKS_URL}: {URL_RULE}"]


@pytest.mark.parametrize("user", ["u:s3cret", "s3cret", "u:s3:cret@s3cret"])
def test_an_address_with_a_password(user: str) -> None:
    """Refused, and the password is not repeated."""
    environ = ISSUED | {JWKS_URL: f"https://{user}@id.test/jwks"}
    assert faults({}, environ) == [f"jwt.jwks_url = 'https://…@id.test/jwks' from {JWKS_URL}: {URL_RULE}"]


def test_all_faults_at_once(tmp_path: Path) -> None:
    """One message has the faults of every source, so that one start is enough to see them."""
    path = tmp_path / "c.toml"
    path.write_text("[log]\nlevle = 'info'\n[actors]\nmax_resident = 0", "utf-8")
    environ = {"LABSESSIONS_LOG__FORMAT": "xml", "LABSESSIONS_PROT": "1", "BACKEND_API_URL": "x", "API_TOKEN": "a b"}
    with pytest.raises(SettingsError) as raised:
        load({"port": -1, "host": "::", "insecur": True}, environ, path)
    expected = [
        "--insecur: unknown flag; did you mean --insecure?",
        "LABSESSIONS_PROT: unknown environment variable; did you mean LABSESSIONS_PORT?",
        f"log.levle in {path}: unknown key; did you mean log.level?",
        "BACKEND_API_URL: must be http:// or https:// with a host, and without user, password, query and fragment",
        "API_TOKEN: item 1: a token must be of visible ASCII characters, without spaces",
        "port = -1 from --port: input should be greater than or equal to 0",
        f"actors.max_resident = 0 from {path}: input should be greater than or equal to 1",
        "log.format = 'xml' from LABSESSIONS_LOG__FORMAT: input should be 'auto', 'console' or 'json'",
    ]
    assert raised.value.faults == expected
    assert str(raised.value) == "Wrong settings:\n- " + "\n- ".join(expected)


def test_each_fault_is_one_line() -> None:
    """Whatever is in the value."""
    [fault] = faults({"host": "a\nb"})
    assert fault == r"host = 'a\nb' from --host: input should be a host name or an IP address"

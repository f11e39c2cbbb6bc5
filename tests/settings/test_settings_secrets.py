"""Secrets come from the environment or from files, and are shown nowhere."""

import pickle
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from labsessions.settings import Secrets, Settings, SettingsError, load

SECRET = "s3cret-"  # what no text may have in it
NAMES = ["BACKEND_API_URL", "BACKEND_API_TOKEN", "API_TOKEN", "ADMIN_TOKEN", "JWT_HS256_KEY"]
KEY = "k" * 32  # of the shortest length that is allowed
ISSUED = {"LABSESSIONS_JWT__ISSUER": "i", "LABSESSIONS_JWT__AUDIENCE": "a"}  # else a key alone is a fault
URL_RULE = "must be http:// or https:// with a host, and without user, password, query and fragment"
TOKEN_RULE = "a token must be of visible ASCII characters, without spaces"


def revealed(settings: Settings) -> dict[str, str | tuple[str, ...]]:
    """The secrets that are set, in plain text."""
    secrets = settings.secrets
    single = {"BACKEND_API_TOKEN": secrets.backend_api_token, "JWT_HS256_KEY": secrets.jwt_key}
    several = {"API_TOKEN": secrets.api_tokens, "ADMIN_TOKEN": secrets.admin_tokens}
    found: dict[str, str | tuple[str, ...] | None] = {
        "BACKEND_API_URL": secrets.backend_api_url,
        **{name: None if secret is None else secret.get_secret_value() for name, secret in single.items()},
        **{name: tuple(each.get_secret_value() for each in tokens) for name, tokens in several.items()},
    }
    return {name: value for name, value in found.items() if value}


def values(kind: str) -> dict[str, str]:
    """A value of this kind for each secret."""
    return {name: f"{kind}-{number}".ljust(32, "k") for number, name in enumerate(NAMES)} | {
        "BACKEND_API_URL": f"http://{kind}"
    }


def shown(kind: str) -> dict[str, str | tuple[str, ...]]:
    """`values` as `revealed` shows them."""
    return {name: (value,) if name in {"API_TOKEN", "ADMIN_TOKEN"} else value for name, value in values(kind).items()}


def faults(environ: dict[str, str]) -> list[str]:
    """The faults of this environment; an empty list if there are none."""
    try:
        load({}, ISSUED | environ)
    except SettingsError as error:
        return error.faults
    return []


def secret_files(folder: Path, kind: str) -> Path:
    """A folder with all secrets, each ending in a newline as editors leave it."""
    folder.mkdir()
    for name, value in values(kind).items():
        (folder / name).write_text(f"{value}\n", "utf-8")
    return folder


def test_environment_before_file_before_credentials(tmp_path: Path) -> None:
    """Each secret may be given in three ways; the first one that is set wins."""
    files, directory = secret_files(tmp_path / "files", "file"), secret_files(tmp_path / "directory", "credential")
    credentials = {"CREDENTIALS_DIRECTORY": str(directory)} | ISSUED
    from_files = {f"{name}_FILE": str(files / name) for name in NAMES} | credentials
    assert revealed(load({}, values("env") | credentials)) == shown("env")
    assert revealed(load({}, from_files)) == shown("file")
    assert revealed(load({}, credentials)) == shown("credential")
    assert revealed(load({}, {})) == {}


def test_a_credentials_directory_need_not_hold_all(tmp_path: Path) -> None:
    """A unit names those that it has."""
    (tmp_path / "API_TOKEN").write_text("t\r\n", "utf-8")
    assert revealed(load({}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})) == {"API_TOKEN": ("t",)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_empty_counts_as_not_set(tmp_path: Path, name: str, empty: str) -> None:
    """In the variable and in the file; an empty variable doesn't quarrel with the file either."""
    path = tmp_path / "empty"
    path.write_text(empty, "utf-8")
    assert load({}, {name: empty}) == Settings()
    assert load({}, {name: empty, f"{name}_FILE": str(path)}) == Settings()
    assert load({}, {f"{name}_FILE": ""}) == Settings()


@pytest.mark.parametrize("name", ["API_TOKEN", "ADMIN_TOKEN"])
def test_several_tokens(name: str) -> None:
    """Separated by commas, for rotation; spaces around them and empty ones don't count."""
    assert revealed(load({}, {name: " old, ,new ,"})) == {name: ("old", "new")}


@pytest.mark.parametrize("name", ["API_TOKEN", "ADMIN_TOKEN"])
def test_commas_alone_are_a_fault(name: str) -> None:
    """Whoever writes them meant to protect the service."""
    assert faults({name: " , "}) == [f"{name}: there is no token between the commas"]


def test_operators_have_a_token_of_their_own() -> None:
    """One that opens the API as well would make every holder an operator. It isn't shown."""
    fault = "ADMIN_TOKEN: must be another token than API_TOKEN"
    assert faults({"API_TOKEN": f"a,{SECRET}1", "ADMIN_TOKEN": f"b,{SECRET}1"}) == [fault]
    assert faults({"API_TOKEN": f"a,{SECRET}1", "ADMIN_TOKEN": f"b,{SECRET}2"}) == []


@pytest.mark.parametrize(("key", "holds"), [(KEY, True), (KEY[1:], False), ("é" * 16, True), ("é" * 15 + "x", False)])
def test_the_key_of_users_tokens_is_long_enough(key: str, holds: bool) -> None:  # noqa: FBT001 - pytest's
    """In bytes, as the algorithm counts: one less is a fault."""
    assert faults({"JWT_HS256_KEY": key}) == ([] if holds else ["JWT_HS256_KEY: must have at least 32 bytes"])


@pytest.mark.parametrize("begin", ["-----BEGIN PUBLIC KEY-----\n", "ssh-rsa ", "ecdsa-sha2-nistp256 ", '{"kty": "RSA"'])
def test_a_public_key_is_no_secret(begin: str) -> None:
    """Everybody who has it could make tokens."""
    fault = "JWT_HS256_KEY: must be a shared secret; for public keys set jwt.jwks_url"
    assert faults({"JWT_HS256_KEY": begin + SECRET * 8}) == [fault]


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_at_once_are_a_fault(name: str) -> None:
    """Nobody could tell which one counts."""
    file = f"{name}_FILE"
    fault = f"{name} from {name} and {file}: set either {name} or {file}, not both"
    assert faults({name: f"{SECRET}1", file: "/x"}) == [fault]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """The fault names the variable and the path, for a credential as well."""
    file, absent, binary = f"{name}_FILE", tmp_path / "absent", tmp_path / "binary"
    binary.write_bytes(SECRET.encode() + b"\xff")
    (tmp_path / name).mkdir()
    assert faults({file: str(absent)}) == [
        f"{name} from {file}={absent}: cannot read {absent}: No such file or directory"
    ]
    assert faults({file: str(binary)}) == [
        f"{name} from {file}={binary}: cannot read {binary}: not a text file in UTF-8"
    ]
    assert faults({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == [
        f"{name} from {name} in CREDENTIALS_DIRECTORY={tmp_path}: cannot read {tmp_path / name}: Is a directory"
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://b", "http://b"),
        ("HTTPS://b/", "HTTPS://b"),
        ("https://b.example:8443/lab/api//", "https://b.example:8443/lab/api"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://b/~a@b", "http://b/~a@b"),
    ],
)
def test_a_backend_address(given: str, kept: str) -> None:
    """Kept as given, but for slashes at the end: paths are appended to it."""
    assert load({}, {"BACKEND_API_URL": given}).secrets.backend_api_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "s3cret-host",
        "ftp://s3cret-host",
        "//s3cret-host",
        "http:s3cret-host",
        "http://",
        "http:///s3cret-path",
        "http://:80",
        "http://user:s3cret-@b",
        "http://s3cret-@b",
        "http://@b",
        "http://b?s3cret-=1",
        "http://b?",
        "http://b#s3cret-",
        "http://b#",
        "http://b:s3cret-",
        "http://b:65536",
        "http://b:0",
        "http://[s3cret-",
        "http://b/a b",
        "http://b\\s3cret-",
        "http://b\x00",
    ],
)
def test_no_backend_address(url: str) -> None:
    """Refused, and not repeated: it may have a password in it."""
    assert faults({"BACKEND_API_URL": url}) == [f"BACKEND_API_URL: {URL_RULE}"]


@pytest.mark.parametrize("token", ["s3cret-é", "s3cret- x", "s3cret-\tx", "s3cret-\x7f", "s3cret-\u200b"])
def test_a_token_that_no_header_can_carry(token: str) -> None:
    """Refused at the start, not at the first call; of several the fault tells which."""
    assert faults({"BACKEND_API_TOKEN": token}) == [f"BACKEND_API_TOKEN: {TOKEN_RULE}"]
    for name in ("API_TOKEN", "ADMIN_TOKEN"):
        assert faults({name: f"t,{token},{token}"}) == [f"{name}: item {n}: {TOKEN_RULE}" for n in (2, 3)]


def test_every_visible_ascii_character_may_be_in_a_token() -> None:
    """But the comma, which separates them."""
    token = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != ",")
    environ = {"BACKEND_API_TOKEN": f"{token},", "API_TOKEN": token}
    assert revealed(load({}, environ)) == {"BACKEND_API_TOKEN": f"{token},", "API_TOKEN": (token,)}


def test_secrets_are_not_shown() -> None:
    """Neither by the settings nor by a part of them, in whatever way they are printed."""
    environ = values(SECRET) | {"BACKEND_API_URL": "http://b", "API_TOKEN": f"{SECRET}2,{SECRET}3"} | ISSUED
    settings = load({}, environ)
    assert set(revealed(settings)) == set(NAMES)
    for value in (settings, settings.secrets):
        printed = f"{value} {value!r} {value.model_dump()} {value.model_dump(mode='json')} {value.model_dump_json()}"
        assert "http://b" in printed
        assert SECRET not in printed


def test_secrets_are_not_in_the_error() -> None:
    """Nor in what led to it: a traceback may end up in a log."""
    environ = {
        "API_TOKEN": f"{SECRET}1",
        "BACKEND_API_TOKEN": f"{SECRET} 2",
        "LABSESSIONS_API_TOKEN": f"{SECRET}3",
        "ADMIN_TOKEN": f"{SECRET}1",
        "JWT_HS256_KEY": SECRET,
    }
    with pytest.raises(SettingsError) as raised:
        load({"port": -1}, environ)
    printed = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert SECRET not in printed
    assert len(raised.value.faults) == 5
    assert raised.value.__cause__ is None


def test_the_error_survives_pickling() -> None:
    """As an exception should, so that a pool or a test runner can hand it on."""
    error = SettingsError(["a", "b"])
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (copy.faults, str(copy)) == (["a", "b"], str(error))


def test_secrets_made_in_code() -> None:
    """Plain text will do, by the same rules; a wrong one isn't shown here either."""
    secrets = Secrets.model_validate(
        {"backend_api_url": "http://b/", "backend_api_token": "x", "api_tokens": ["a", "b"]}
    )
    found = {"BACKEND_API_URL": "http://b", "BACKEND_API_TOKEN": "x", "API_TOKEN": ("a", "b")}
    assert revealed(Settings(secrets=secrets)) == found
    with pytest.raises(ValidationError) as raised:
        Secrets.model_validate({"api_tokens": [f"{SECRET} x"], "backend_api_url": 3})
    assert SECRET not in str(raised.value)


def test_what_to_redact() -> None:
    """Every token and key; the address is none."""
    environ = {"BACKEND_API_URL": "http://b", "BACKEND_API_TOKEN": "x", "API_TOKEN": "a,b", "ADMIN_TOKEN": "c,d"}
    secrets = load({}, environ | {"JWT_HS256_KEY": KEY} | ISSUED).secrets
    assert set(secrets.to_redact()) == {"a", "b", "c", "d", "x", KEY}
    assert Secrets().to_redact() == ()


def test_the_data_directory_comes_last(tmp_path: Path) -> None:
    """What `secrets set` has stored counts where nothing else is set, wherever the directory is named."""
    data = tmp_path / "data"
    data.mkdir()
    secret_files(data / "secrets", "stored")
    credentials = secret_files(tmp_path / "credentials", "credential")
    (credentials / "API_TOKEN").unlink()
    named = ISSUED | {"LABSESSIONS_DATA_DIR": str(data)}
    config = tmp_path / "c.toml"
    config.write_text(f'data_dir = "{data}"\n', "utf-8")
    assert revealed(load({"data_dir": data}, ISSUED)) == shown("stored")
    assert revealed(load({}, named)) == revealed(load({}, ISSUED, config)) == shown("stored")
    mixed = shown("credential") | {"API_TOKEN": shown("stored")["API_TOKEN"]}
    assert revealed(load({}, named | {"CREDENTIALS_DIRECTORY": str(credentials)})) == mixed
    assert revealed(load({}, ISSUED)) == {}


def test_a_stored_secret_that_cannot_be_read(tmp_path: Path) -> None:
    """The fault names the file."""
    path = tmp_path / "secrets" / "API_TOKEN"
    path.mkdir(parents=True)
    fault = f"API_TOKEN from {path}: cannot read {path}: Is a directory"
    assert faults({"LABSESSIONS_DATA_DIR": str(tmp_path)}) == [fault]


@pytest.mark.parametrize("name", ["absent", "file", "file/below"])
def test_a_data_directory_that_cannot_be_used_is_no_fault_of_the_secrets(tmp_path: Path, name: str) -> None:
    """It is reported on its own, once."""
    (tmp_path / "file").write_text("in the way")
    assert faults({"LABSESSIONS_DATA_DIR": str(tmp_path / name)}) == []

"""Secrets in the data directory: stored whole or not at all, for the service's user only, and never shown."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labsessions.secret_store import Listed, SecretError, Store
from labsessions.settings import load
from labsessions.settings.secrets import FIELDS

SECRET = "s3cret-value"
HOLD = """
import signal
import sys
from pathlib import Path
from actors.directory import DataDirectory
signal.signal(signal.SIGHUP, signal.SIG_DFL)
directory = DataDirectory(Path(sys.argv[1]))
directory.claim()
directory.announce()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@contextmanager
def service(data: Path, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the directory, started with this environment in the directory above; it dies of SIGHUP."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own script
        [sys.executable, "-c", HOLD, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        cwd=data.parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def origins(store: Store) -> dict[str, str]:
    """Where each secret that is set comes from."""
    return {each.name: each.origin for each in store.listed() if each.origin is not None}


def test_what_is_stored_is_what_the_service_reads(data: Path) -> None:
    """In a file of its owner's in a folder of its owner's; again, and the new one takes its place."""
    for value in (SECRET, "another"):
        path = Store(data, {}).put("API_TOKEN", f" {value}\r\n")
        (token,) = load({"data_dir": data}, {}).secrets.api_tokens
        assert token.get_secret_value() == value
        assert path == data / "secrets" / "API_TOKEN"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("API_TOKN", SECRET, "there is no secret API_TOKN; there are BACKEND_API_URL, "),
        ("../API_TOKEN", SECRET, "there is no secret ../API_TOKEN"),
        ("API_TOKEN", " \n", "API_TOKEN: nothing was given"),
        ("API_TOKEN", f"{SECRET} x", "API_TOKEN: item 1: a token must be of visible ASCII characters, without spaces"),
        ("BACKEND_API_URL", f"ftp://{SECRET}", "BACKEND_API_URL: must be http:// or https:// with a host"),
        ("JWT_HS256_KEY", SECRET, "JWT_HS256_KEY: must have at least 32 bytes"),
        ("JWT_HS256_KEY", SECRET * 3, "jwt: tokens of users need jwt.issuer and jwt.audience as well"),
        ("API_TOKEN", f"{SECRET}-of-operators", "must be another token than API_TOKEN"),
    ],
)
def test_what_the_service_would_refuse_is_not_stored(data: Path, name: str, value: str, why: str) -> None:
    """What was there stays, no draft is left, and the value isn't shown."""
    store = Store(data, {"ADMIN_TOKEN": f"{SECRET}-of-operators"})
    store.put("API_TOKEN", "good")
    with pytest.raises(SecretError) as refused:
        store.put(name, value)
    assert why in str(refused.value)
    assert SECRET not in str(refused.value)
    assert [(path.name, path.read_text()) for path in (data / "secrets").iterdir()] == [("API_TOKEN", "good\n")]


def test_a_faulty_secret_can_be_mended(data: Path) -> None:
    """Faults that others have already are no reason to refuse."""
    store = Store(data, {"ADMIN_TOKEN": "a b"})
    (data / "secrets").mkdir()
    (data / "secrets" / "API_TOKEN").write_text("a b\n")
    store.put("API_TOKEN", SECRET)
    assert (data / "secrets" / "API_TOKEN").read_text() == f"{SECRET}\n"


def test_a_folder_that_cannot_be_written(data: Path) -> None:
    """The error says why."""
    (data / "secrets").write_text("in the way")
    with pytest.raises(SecretError, match=r"API_TOKEN cannot be stored: .*File exists"):
        Store(data, {}).put("API_TOKEN", SECRET)


def test_each_is_listed_with_where_it_comes_from(data: Path, tmp_path: Path) -> None:
    """In the order in which the service looks; never with a value."""
    (tmp_path / "credentials").mkdir()
    for name in ("API_TOKEN", "ADMIN_TOKEN"):
        (tmp_path / "credentials" / name).write_text(f"{SECRET}-{name}")
    environ = {
        "BACKEND_API_URL": f"http://{SECRET}",
        "BACKEND_API_TOKEN_FILE": "/nowhere",
        "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
    }
    store = Store(data, environ)
    assert [each.name for each in store.listed()] == list(FIELDS)
    (tmp_path / "credentials" / "ADMIN_TOKEN").unlink()
    store.put("ADMIN_TOKEN", SECRET)
    store.put("API_TOKEN", f"{SECRET}-stored")
    listed = store.listed()
    assert listed == [
        Listed("BACKEND_API_URL", "BACKEND_API_URL", None),
        Listed(
            "BACKEND_API_TOKEN", "BACKEND_API_TOKEN_FILE=/nowhere", "cannot read /nowhere: No such file or directory"
        ),
        Listed("API_TOKEN", f"API_TOKEN in CREDENTIALS_DIRECTORY={tmp_path / 'credentials'}", None),
        Listed("ADMIN_TOKEN", str(data / "secrets" / "ADMIN_TOKEN"), None),
        Listed("JWT_HS256_KEY", None, None),
    ]
    assert SECRET not in str(listed)


def test_webhooks_have_secrets_too(data: Path, tmp_path: Path) -> None:
    """Those that are set up: listed, and stored if they are what the receiver's library takes."""
    file = tmp_path / "labsessions.toml"
    file.write_text('[[webhooks]]\nname = "ops-2"\nurl = "https://hooks.example.test"\n')
    store = Store(data, {"LABSESSIONS_CONFIG": str(file)})
    assert store.listed()[-1] == Listed("WEBHOOK_OPS_2_SECRET", None, None)
    with pytest.raises(SecretError, match=r"WEBHOOK_OPS_2_SECRET: .*24 to 64 bytes"):
        store.put("WEBHOOK_OPS_2_SECRET", "c2VjcmV0")
    stored = store.put("WEBHOOK_OPS_2_SECRET", "c2VjcmV0" * 4)
    assert store.origin("WEBHOOK_OPS_2_SECRET") == str(stored)
    with pytest.raises(SecretError, match="there is no secret WEBHOOK_DEV_SECRET"):
        store.put("WEBHOOK_DEV_SECRET", "c2VjcmV0" * 4)


def test_the_running_services_own_environment_counts(data: Path) -> None:
    """Not that of the shell, and its paths from where it was started."""
    (data.parent / "token").write_text(SECRET)
    with service(data, API_TOKEN_FILE="token", ADMIN_TOKEN="a-token"):
        store = Store(data, {"BACKEND_API_TOKEN": "x"})
        assert origins(store) == {
            "API_TOKEN": f"API_TOKEN_FILE={data.parent / 'token'}",
            "ADMIN_TOKEN": "ADMIN_TOKEN",
        }
        with pytest.raises(SecretError, match="must be another token than API_TOKEN"):
            store.put("API_TOKEN", "a-token")
    assert origins(Store(data, {"BACKEND_API_TOKEN": "x"})) == {"BACKEND_API_TOKEN": "BACKEND_API_TOKEN"}


def test_the_running_service_is_told(data: Path) -> None:
    """By SIGHUP, if there is one."""
    assert Store(data, {}).tell_service() is None
    with service(data) as process:
        store = Store(data, {})
        assert store.tell_service() == process.pid
        assert process.wait(30) == -1
        assert store.tell_service() is None

"""The endpoints of webhooks in the settings: sections of the file, secrets of their own."""

import base64
import json
import tomllib
from pathlib import Path

import pytest

from labsessions.settings import SettingsError, load
from labsessions.settings.webhooks import Webhook
from labsessions.webhooks.messages import TYPES, USUAL

DEFAULT = Path(__file__).parents[2] / "config" / "default.toml"
URL = "https://hooks.test/s3cret-path?k=s3cret"
SECRET = base64.b64encode(b"s3cret of 24 bytes, good").decode()
OPS = f'[[webhooks]]\nname = "ops"\nurl = "{URL}"\n'


def faults(folder: Path, config: str, **environ: str) -> list[str]:
    """The faults of this file with this environment; none has a secret in it."""
    path = folder / "config.toml"
    path.write_text(config, "utf-8")
    try:
        load({}, environ, path)
    except SettingsError as error:
        found = error.faults
    else:
        found = []
    shown = "\n".join(found)
    assert "s3cret" not in shown
    assert SECRET not in shown
    return found


def test_an_endpoint_with_its_secret(tmp_path: Path) -> None:
    """Name and address are enough; the secret is found by the name, in each of the three ways."""
    path, secret = tmp_path / "config.toml", tmp_path / "WEBHOOK_ON_CALL_2_SECRET"
    path.write_text(OPS.replace('"ops"', '"on-call-2"'), "utf-8")
    secret.write_text(f"whsec_{SECRET}\n", "utf-8")
    for environ in (
        {"WEBHOOK_ON_CALL_2_SECRET": f"whsec_{SECRET}"},
        {"WEBHOOK_ON_CALL_2_SECRET_FILE": str(secret)},
        {"CREDENTIALS_DIRECTORY": str(tmp_path)},
    ):
        settings = load({}, environ, path)
        (webhook,) = settings.webhooks
        assert (webhook.name, webhook.url, webhook.events, webhook.start) == ("on-call-2", URL, USUAL, "now")
        assert webhook.types == frozenset(USUAL)
        (found,) = settings.secrets.webhooks["on-call-2"]
        assert found.get_secret_value() == f"whsec_{SECRET}"
        assert settings.secrets.to_redact() == (SECRET,)
        for shown in (str(settings), repr(settings), settings.model_dump_json(), str(settings.secrets.model_dump())):
            assert SECRET not in shown


def test_all_events(tmp_path: Path) -> None:
    """Those that only the curious want, too."""
    path = tmp_path / "config.toml"
    path.write_text(OPS + 'events = ["*"]\nfrom = "beginning"\n', "utf-8")
    (webhook,) = load({}, {"WEBHOOK_OPS_SECRET": SECRET}, path).webhooks
    assert (webhook.types, webhook.start) == (frozenset(TYPES), "beginning")


def test_two_secrets_while_one_is_replaced(tmp_path: Path) -> None:
    """Separated by a comma."""
    path = tmp_path / "config.toml"
    path.write_text(OPS, "utf-8")
    other = base64.b64encode(b"x" * 64).decode()
    settings = load({}, {"WEBHOOK_OPS_SECRET": f"{SECRET}, whsec_{other}"}, path)
    assert settings.secrets.to_redact() == (SECRET, other)


@pytest.mark.parametrize(
    ("size", "fault"),
    [(23, "must have 24 to 64 bytes; make one with: openssl rand -base64 32"), (24, ""), (64, ""), (65, "must have")],
)
def test_the_size_of_a_secret(tmp_path: Path, size: int, fault: str) -> None:
    """As Standard Webhooks has it: one byte less or more is a fault."""
    secret = base64.b64encode(b"x" * size).decode()
    found = faults(tmp_path, OPS, WEBHOOK_OPS_SECRET=secret)
    assert bool(found) == bool(fault)
    assert all(each.startswith(f"WEBHOOK_OPS_SECRET: item 1: {fault}") for each in found)


def test_a_secret_that_is_no_base64(tmp_path: Path) -> None:
    """The receiver's library couldn't read it."""
    wanted = 'must be base64, with or without "whsec_" before it'
    found = faults(tmp_path, OPS, WEBHOOK_OPS_SECRET="s3cret, really")
    assert found == [f"WEBHOOK_OPS_SECRET: item {number}: {wanted}" for number in (1, 2)]


def test_without_a_secret(tmp_path: Path) -> None:
    """The fault says which variable; one that cannot be read is told itself."""
    assert faults(tmp_path, OPS) == ["webhooks: ops needs its secret: set WEBHOOK_OPS_SECRET"]
    unreadable = "WEBHOOK_OPS_SECRET from WEBHOOK_OPS_SECRET_FILE=/no: cannot read /no: No such file or directory"
    assert faults(tmp_path, OPS, WEBHOOK_OPS_SECRET_FILE="/no") == [unreadable]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (OPS + OPS, "webhooks: each name may be there once"),
        (OPS + 'events = ["session.gone"]\n', 'webhooks.events: item 1: must be "*" or one of session.created, '),
        (OPS + "events = []\n", "webhooks.events: item 1: "),
        (OPS + 'from = "s3cret"\n', "webhooks.from: item 1: input should be 'now' or 'beginning'"),
        (OPS + f'secret = "{SECRET}"\n', "webhooks.secret: item 1: extra inputs are not permitted"),
        (OPS + "timeout_seconds = 0\n", "webhooks.timeout_seconds: item 1: "),
        (OPS + "timeout_seconds = 61\n", "webhooks.timeout_seconds: item 1: "),
        (OPS + "give_up_days = 0\n", "webhooks.give_up_days: item 1: "),
        (OPS + "give_up_days = 31\n", "webhooks.give_up_days: item 1: "),
        (OPS.replace(URL, "ftp://s3cret"), "webhooks.url: item 1: input should be http:// or https://"),
        (OPS.replace(URL, "https://user:s3cret@h.test"), "webhooks.url: item 1: input should be http:// or https://"),
        (OPS.replace(URL, ""), "webhooks.url: item 1: must be the address of the endpoint"),
        ('[[webhooks]]\nname = "ops"\n', "webhooks.url: item 1: field required"),
        ("[webhooks]\nname = 's3cret'\n", "webhooks in {path}: is a list, write [[webhooks]]"),
        ("webhooks = 's3cret'\n", "webhooks: item 1: "),
        ("webhooks = [3]\n", "webhooks: item 1: "),
        ("webhooks = 3\n", "webhooks: "),
    ],
)
def test_faults(tmp_path: Path, config: str, fault: str) -> None:
    """Named with the key; no value is shown, as an address may hold a key."""
    found = faults(tmp_path, config, WEBHOOK_OPS_SECRET=SECRET)
    assert [each for each in found if each.startswith(fault.format(path=tmp_path / "config.toml"))] == found
    assert found


@pytest.mark.parametrize("name", ["Ops", "2ops", "-ops", "o_ps", "", "o" * 33, "ö"])
def test_names(tmp_path: Path, name: str) -> None:
    """They stand in routes and in names of variables."""
    found = faults(tmp_path, OPS.replace('"ops"', f'"{name}"'), WEBHOOK_OPS_SECRET=SECRET)
    assert [each.partition(":")[0] for each in found] == ["webhooks.name"]


@pytest.mark.parametrize(("many", "fault"), [(20, False), (21, True)])
def test_how_many(tmp_path: Path, many: int, fault: bool) -> None:  # noqa: FBT001 - pytest's
    """Each reads every event."""
    config = "".join(OPS.replace('"ops"', f'"ops-{number}"') for number in range(many))
    secrets = {f"WEBHOOK_OPS_{number}_SECRET": SECRET for number in range(many)}
    assert bool(faults(tmp_path, config, **secrets)) == fault


def test_from_the_environment() -> None:
    """As a JSON array."""
    environ = {"LABSESSIONS_WEBHOOKS": f'[{{"name":"ops","url":"{URL}"}}]', "WEBHOOK_OPS_SECRET": SECRET}
    (webhook,) = load({}, environ).webhooks
    assert webhook.name == "ops"
    with pytest.raises(SettingsError) as raised:
        load({}, {"LABSESSIONS_WEBHOOKS": '[{"name":"s3cret'})
    assert raised.value.faults == ["webhooks: input should be a JSON array or separated by commas"]


def test_the_example_in_the_default_config() -> None:
    """Without its hashes it is valid, and shows the defaults."""
    lines = DEFAULT.read_text("utf-8").split("# [[webhooks]]\n")[1].splitlines()
    section = tomllib.loads("\n".join(["[[webhooks]]", *(line.removeprefix("# ") for line in lines)]))
    environ = {"LABSESSIONS_WEBHOOKS": json.dumps(section["webhooks"]), "WEBHOOK_ON_CALL_SECRET": SECRET}
    (webhook,) = load({}, environ).webhooks
    assert webhook == Webhook(name="on-call", url="https://hooks.example/labs")
    assert len(section["webhooks"][0]) == len(Webhook.model_fields)

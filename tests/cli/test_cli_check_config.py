"""`check-config`: would the service start, with which settings, and where does each come from? No secret is shown."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labsessions.cli import app
from labsessions.settings.secrets import FIELDS
from labsessions.settings.sources import keys

SECRET = "s3cret-of-the-backend"
ENV = {
    "BACKEND_API_TOKEN": SECRET,
    "BACKEND_API_URL": "https://backend.example",
    "API_TOKEN": "one-token,another-token",
    "LABSESSIONS_CLEANUP__CONCURRENCY": "7",
    "LABSESSIONS_URL": "http://127.0.0.1:1",
    **dict.fromkeys(("ADMIN_TOKEN", "LABSESSIONS_CONFIG"), None),
}


def check(*arguments: str, **env: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    ran = CliRunner().invoke(app, ["check-config", *arguments], env={**ENV, **env})
    return ran.exit_code, ran.stdout, ran.stderr


def test_each_setting_with_its_value_and_its_origin(tmp_path: Path) -> None:
    """Flag, environment, file, default, in this order; a secret shows that it is set, and where."""
    file = tmp_path / "labsessions.toml"
    file.write_text("[cleanup]\nconcurrency = 9\nrate_per_second = 2.5\n[warnings]\nlead_minutes = [5, 1]\n")
    admin = tmp_path / "admin"
    admin.write_text("the-admin-token")
    status, out, err = check(
        *("--config", str(file), "--port", "0", "--data-dir", str(tmp_path), "--json"), ADMIN_TOKEN_FILE=str(admin)
    )
    document = json.loads(out)
    shown = {each["key"]: (each["value"], each["origin"]) for each in document["settings"]}
    assert (status, err, document["valid"]) == (0, "", True)
    assert shown.keys() == {".".join(key) for key in keys()} | FIELDS.keys()
    assert shown["port"] == (0, "--port")
    assert shown["data_dir"] == (str(tmp_path), "--data-dir")
    assert shown["cleanup.concurrency"] == (7, "LABSESSIONS_CLEANUP__CONCURRENCY")
    assert shown["cleanup.rate_per_second"] == (2.5, str(file))
    assert shown["warnings.lead_minutes"] == ([5, 1], str(file))
    assert shown["log.level"] == ("info", "default")
    assert shown["BACKEND_API_URL"] == ("https://backend.example", "BACKEND_API_URL")
    assert shown["BACKEND_API_TOKEN"] == ("********", "BACKEND_API_TOKEN")
    assert shown["API_TOKEN"] == ("********, ********", "API_TOKEN")
    assert shown["ADMIN_TOKEN"] == ("********", f"ADMIN_TOKEN_FILE={admin}")
    assert shown["JWT_HS256_KEY"] == (None, None)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_webhooks_are_shown_without_what_may_be_a_key(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Neither the path of the address nor the secret that messages are signed with."""
    file = tmp_path / "labsessions.toml"
    file.write_text('[[webhooks]]\nname = "ops"\nurl = "https://hooks.example.test/services/k3y"\n')
    status, out, err = check("--config", str(file), *flags, WEBHOOK_OPS_SECRET=f"whsec_{'c2VjcmV0' * 4}")
    shown = "".join(out.split())
    assert (status, err) == (0, "")
    assert "hooks.example.test/…" in shown
    assert "WEBHOOK_OPS_SECRET" in shown
    assert "k3y" not in shown
    assert "c2VjcmV0" not in shown


def test_for_people_it_is_a_table_without_secrets() -> None:
    """Of all of them."""
    status, out, err = check()
    assert (status, err) == (0, "")
    assert out.endswith("the settings are valid\n")
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert lines["cleanup.concurrency"] == ["7", "LABSESSIONS_CLEANUP__CONCURRENCY"]
    assert lines["JWT_HS256_KEY"] == ["null", "not", "set"]
    assert not any(secret in out for secret in (SECRET, "one-token", "another-token"))


def test_all_faults_at_once_are_2(tmp_path: Path) -> None:
    """As at the start, in the same words; with `--json` as a list."""
    file = tmp_path / "labsessions.toml"
    file.write_text("port = 70000\n[cleanup]\nconcurency = 9\n")
    arguments = ("--config", str(file), "--host", "0.0.0.0")  # noqa: S104 - refused without a token
    status, out, err = check(*arguments, API_TOKEN="", LABSESSIONS_LOG__LEVEL="loud")
    assert (status, out) == (2, "")
    for words in ("port = 70000", "did you mean cleanup.concurrency?", "log.level = 'loud'", "without a token"):
        assert words in err
    status, out, _ = check(*arguments, "--json", API_TOKEN="", LABSESSIONS_LOG__LEVEL="loud")
    document = json.loads(out)
    assert (status, document["valid"], len(document["faults"])) == (2, False, 4)
    assert check("--host", "0.0.0.0", "--insecure", API_TOKEN="")[0] == 0  # noqa: S104 - as serve would


def test_a_faulty_secret_is_named_and_not_shown() -> None:
    """Neither in the table nor in the fault."""
    status, out, err = check(BACKEND_API_TOKEN=f"{SECRET} with blanks")
    assert (status, "BACKEND_API_TOKEN" in err, SECRET in out + err) == (2, True, False)

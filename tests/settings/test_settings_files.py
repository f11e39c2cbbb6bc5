"""The files in `config/` say the same as the code, and the service doesn't need them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from labsessions.settings import Settings, load

CONFIG = Path(__file__).parents[2] / "config"


def defaults() -> dict[str, Any]:
    """Every key of the model with its default, as TOML would say it."""
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        value = field.get_default()
        if name == "secrets":
            continue
        if isinstance(value, BaseModel):
            found[name] = {key: list(each) if isinstance(each, tuple) else each for key, each in value}
        else:
            found[name] = "" if value is None else list(value) if isinstance(value, tuple) else value
    found["data_dir"] = f"./{found['data_dir']}"
    return found


def descriptions() -> dict[str, str]:
    """The sentence of every key, by `section.key`."""
    found: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {f"{name}.{key}": each.description or "" for key, each in inner.model_fields.items()}
        else:
            found[name] = field.description or ""
    return {key: text for key, text in found.items() if not key.startswith("secrets")}


def commented(path: Path) -> dict[str, str]:
    """The comment right above every key of a file, by `section.key`."""
    found: dict[str, str] = {}
    section, comment = "", list[str]()
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif assigned := re.match(r"(\w+) = ", line):
            found[section + assigned[1]] = " ".join(comment)
        comment = []
    return found


def test_default_toml_has_every_key_with_its_default() -> None:
    """In both directions: no key is missing, none is left over, none differs."""
    assert tomllib.loads((CONFIG / "default.toml").read_text("utf-8")) == defaults()


def test_loading_default_toml_changes_nothing() -> None:
    """An installed wheel has no `config/` and behaves the same."""
    assert load({}, {}, CONFIG / "default.toml") == load({}, {}) == Settings()


def test_default_toml_has_the_sentence_of_every_key() -> None:
    """Above each key stands its description, and each setting has one: a sentence."""
    assert commented(CONFIG / "default.toml") == descriptions()
    assert all(text.endswith(".") for text in descriptions().values())


@pytest.mark.parametrize("name", ["development.toml", "production.toml"])
def test_the_others_say_only_what_differs_and_why(name: str) -> None:
    """Each key is valid, has a comment above it, and differs from the default."""
    settings = load({}, {"API_TOKEN": "t"}, CONFIG / name)
    document = tomllib.loads((CONFIG / name).read_text("utf-8"))
    usual = defaults()
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else []
        assert not [each for each, setting in inner if usual[key][each] == setting]
        assert value != usual[key]
    assert all(commented(CONFIG / name).values())
    assert settings != load({}, {"API_TOKEN": "t"})


def test_logs_of_development_and_production() -> None:
    """Console for people in development, JSON in production (CONTRACT §4)."""
    assert load({}, {}, CONFIG / "development.toml").log.format == "console"
    assert load({}, {"API_TOKEN": "t"}, CONFIG / "production.toml").log.format == "json"

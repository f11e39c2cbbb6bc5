"""The versions for a deployment: everything that the service needs, each pinned, each as the project asks for it."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def pinned() -> dict[str, str]:
    """Name and version of each line of `config/constraints.txt`."""
    lines = (ROOT / "config" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions: dict[str, str] = {}
    for requirement in requirements:
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{requirement} is no exact version"
        versions[canonicalize_name(requirement.name)] = specifier.version
    assert len(versions) == len(requirements), "a name comes twice"
    return versions


def test_each_dependency_is_pinned_to_a_version_that_the_project_asks_for() -> None:
    """So that `pip install -c config/constraints.txt .` can be satisfied, and gives what was tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = pinned()
    for dependency in map(Requirement, project["dependencies"]):
        assert dependency.specifier.contains(versions[canonicalize_name(dependency.name)]), dependency

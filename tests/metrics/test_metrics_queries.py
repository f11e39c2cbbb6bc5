"""Alert rules and the dashboard name only metrics and labels that exist, and every alert has its runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import pytest
import yaml
from scrapes import metrics

from labsessions.metrics.families import FAMILIES, Kind

ROOT = Path(__file__).parent.parent.parent
ALERTS = ROOT / "config" / "prometheus" / "alerts.yml"
TESTS = ROOT / "config" / "prometheus" / "alerts.test.yml"
DASHBOARD = ROOT / "config" / "grafana" / "labsessions.json"
# Those of the process are the library's, and `up` is Prometheus's own.
PROCESS = frozenset(
    {"lab_process_resident_memory_bytes", "lab_process_cpu_seconds_total", "lab_process_open_fds", "up"}
)
# Prometheus's own, of whom it has asked.
TARGET = {"instance", "job"}
NAMES = {name: family for family in FAMILIES for name in family.sample_names}


class Query(NamedTuple):
    """An expression, and where it stands."""

    where: str
    text: str


class Use(NamedTuple):
    """A metric in an expression with the labels that it is selected by, and their values."""

    name: str
    labels: dict[str, str]


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    """The dashboard."""
    return json.loads(DASHBOARD.read_text("utf-8"))


def queries() -> Iterator[Query]:
    """All expressions, those of the dashboard with values for Grafana's variables."""
    for rule in rules():
        yield Query(rule["alert"], rule["expr"])
    shown = dashboard()
    for panel in shown["panels"]:
        for target in panel.get("targets", []):
            yield Query(panel["title"], _without_variables(target["expr"]))
    for note in shown["annotations"]["list"]:
        yield Query(note["name"], _without_variables(note["expr"]))


def _without_variables(text: str) -> str:
    return text.replace("$__rate_interval", "5m").replace("$instance", ".*")


def uses(text: str) -> list[Use]:
    """The metrics in an expression. ValueError if it is none."""
    found: list[Use] = []

    def visit(node: Any) -> bool:
        selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(selector, promql_parser.VectorSelector):
            matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
            found.append(Use(str(selector.name), matchers))
        return True

    _walk(promql_parser.parse(text), visit)
    return found


def _walk(node: Any, visit: Callable[[Any], bool]) -> None:
    visit(node)
    for member in ("lhs", "rhs", "expr", "param"):
        child = getattr(node, member, None)
        if isinstance(child, promql_parser.Expr):
            _walk(child, visit)
    for argument in getattr(node, "args", None) or ():
        _walk(argument, visit)


def kept(text: str) -> set[str]:
    """The labels that an expression groups by."""
    lists = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", text)
    return {label.strip() for listed in lists for label in listed.split(",") if label.strip()}


per_query = pytest.mark.parametrize("query", list(queries()), ids=lambda query: query.where)


@per_query
def test_a_query_names_what_exists(query: Query) -> None:
    """Each metric is one of ours, with the ending that it has; it is selected and grouped by labels that it has."""
    used = uses(query.text)
    assert used
    assert len(used) == len(re.findall(r"\b(?:lab_\w+|up)\b(?!\()", query.text)), "a metric was overlooked"
    labels = {*TARGET, "le"}
    for name, selected in used:
        if name not in PROCESS:
            family = NAMES[name]
            assert set(selected) <= {*family.labels, *TARGET}
            labels |= set(family.labels)
    assert kept(query.text) <= labels


@per_query
def test_a_counter_is_looked_at_by_its_rate(query: Query) -> None:
    """Its value alone tells how long the process has been up; a gauge has no rate."""
    for name, _ in uses(query.text):
        at = query.text.index(name)
        rated = re.search(r"\b(?:rate|increase)\($", query.text[:at]) is not None
        if name in NAMES and NAMES[name].kind in (Kind.COUNTER, Kind.HISTOGRAM):
            assert rated, name
        elif not name.endswith("_total"):
            assert not rated, name


async def test_a_state_that_is_selected_exists() -> None:
    """Values of `state` and `outcome`: those that a scrape shows."""
    text = (await metrics().text()).decode()
    for query in queries():
        for name, selected in uses(query.text):
            for label in selected.keys() & {"state", "outcome"}:
                for wanted in selected[label].split("|"):
                    assert re.search(rf'^{name}\{{(?:[^}}]*,)?{label}="{wanted}"', text, re.MULTILINE), (query, wanted)


def test_the_names_of_the_process_are_shown() -> None:
    """Where there is /proc, which is where a dashboard is looked at."""
    names = {sample.name for metric in metrics().registry.collect() for sample in metric.samples}
    assert names >= PROCESS - {"up"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    """In a sentence each, with a severity that there is; its runbook is a section of the page of that name."""
    said = rule["annotations"]
    assert set(said) == {"summary", "action", "runbook"}
    assert all(said[each].endswith(".") for each in ("summary", "action"))
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    page, _, anchor = said["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text("utf-8")


def test_each_section_of_the_runbook_is_of_an_alert() -> None:
    """None is left over from a rule that is gone."""
    page = (ROOT / "labsessions" / "docs" / "metrics.md").read_text("utf-8")
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_each_alert_is_tried() -> None:
    """It fires in a test of promtool's, and the series of these tests are of metrics that exist."""
    tried = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    fired = set(re.findall(r'alertname="(\w+)"', TESTS.read_text("utf-8")))
    assert fired == {rule["alert"] for rule in rules()}
    for series in (each["series"] for test in tried for each in test["input_series"]):
        (used,) = uses(series)
        assert used.name == "up" or set(used.labels) <= {*NAMES[used.name].labels, *TARGET, "le"}


def test_the_dashboard_has_no_panel_twice() -> None:
    """Numbers are their identity in Grafana; no panel lies on another."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("command", [("check", "rules", ALERTS.name), ("test", "rules", TESTS.name)])
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    """The rules are valid, and each fires at its limit and not before."""
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run(  # noqa: S603 - our own arguments
        [promtool, *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The core is pure: it imports nothing that could make a decision depend on anything but its arguments."""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from builders import POLICY
from hypothesis import given
from msgspec import Struct, StructMeta
from strategies import conversations, instants, seeded

import labsessions.core
from labsessions.core import messages, model, policy
from labsessions.core.machine import decide
from labsessions.core.messages import Message
from labsessions.core.model import State

FORBIDDEN = {"asyncio", "time", "random", "os", "sqlite3", "logging", "threading", "uuid", "secrets"}
ALLOWED = {"collections", "datetime", "decimal", "enum", "functools", "labsessions", "msgspec", "typing"}
# What the allowed modules offer that would still be a clock.
CLOCKS = {"now", "utcnow", "today"}

MODULES = sorted(Path(labsessions.core.__file__).parent.glob("*.py"))
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in `tree`, by its full name."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.ImportFrom():
                pytest.fail("imports are absolute")
            case _:
                pass


@every_module
def test_the_core_imports_no_clock_chance_or_io(module: Path) -> None:
    """Only values: the standard library's types, msgspec, and the core itself."""
    names = set(imports(ast.parse(module.read_text(encoding="utf-8"))))
    roots = {name.partition(".")[0] for name in names}
    assert roots & FORBIDDEN == set()
    assert roots - ALLOWED == set()
    own = {name for name in names if name.startswith("labsessions")}
    assert {name for name in own if not name.startswith("labsessions.core.")} == set()


@every_module
def test_the_core_asks_no_clock_and_awaits_nothing(module: Path) -> None:
    """`datetime` is used to show instants, never to learn the time; there is no coroutine."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global)
        assert not (isinstance(node, ast.Attribute) and node.attr in CLOCKS)


@pytest.mark.parametrize("module", [messages, model, policy], ids=lambda module: module.__name__)
def test_every_value_is_frozen(module: ModuleType) -> None:
    """A state or message that was handed out cannot be changed behind the back of whoever keeps it."""
    values = [value for value in vars(module).values() if isinstance(value, StructMeta)]
    assert values
    assert [value for value in values if not value.__struct_config__.frozen and value is not Struct] == []


def test_the_check_sees_every_module() -> None:
    """An empty glob would prove nothing."""
    assert {path.stem for path in MODULES} >= {"codec", "machine", "messages", "model", "policy", "projection"}


@seeded
@given(conversations(), instants)
def test_decide_is_total_pure_and_leaves_its_input_alone(conversation: tuple[State, Message], now_ms: int) -> None:
    """Any state, any message, any instant: an answer, the same one each time, and the arguments as they were."""
    state, message = conversation
    before = copy.deepcopy((state, message))
    first = decide(state, message, now_ms, POLICY)

    assert (state, message) == before
    assert decide(state, message, now_ms, POLICY) == first
    assert (first.state == state) is (first.state is state)

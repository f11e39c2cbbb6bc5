"""The table of the backend's faults against the faults that the real process is tested with."""

from docs_pages import DOCS, codes, table
from unruly_backend import CONNECTION_FAULTS, FAULTS


def test_the_table_of_faults_has_exactly_those_that_are_tested() -> None:
    """Each with its `last_error`, shortened where an ellipsis says so; none for a confirmation."""
    rows = table(DOCS / "automatic-cleanup.md", "Fault of the backend", "What happens")
    shown = {fault: error for fault, _, error in rows}
    tested = CONNECTION_FAULTS | {name: fault.error for name, fault in FAULTS.items()}
    assert list(shown) == list(tested)
    for name, error in tested.items():
        said = "".join(codes(shown[name])).removesuffix("…").rstrip()
        assert (error or "").startswith(said), name
        assert bool(said) == (error is not None), name


def test_the_table_says_which_faults_are_confirmations() -> None:
    """A 2xx and a 410 confirm; nothing else does."""
    rows = table(DOCS / "automatic-cleanup.md", "Fault of the backend", "What happens")
    confirmed = {fault for fault, what, _ in rows if what.startswith("confirmed")}
    assert confirmed == {name for name, fault in FAULTS.items() if fault.error is None}

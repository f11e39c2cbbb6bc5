"""The code, broken in ways that matter, is noticed (`check` says how to run it by hand, with words to choose some)."""

import pytest
from check import ROOT, judge
from mutants import MUTANTS, SIMULATOR, Mutant


def test_every_mutant_still_fits_the_code() -> None:
    """The old text of each is there exactly once, and the new one differs: none can become a formality."""
    texts = {mutant.file: (ROOT / mutant.file).read_text(encoding="utf-8") for mutant in MUTANTS}
    assert [mutant.name for mutant in MUTANTS if texts[mutant.file].count(mutant.old) != 1] == []
    assert [mutant.name for mutant in MUTANTS if mutant.old == mutant.new] == []
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 16


def test_what_is_broken_beyond_recognition_does_not_count() -> None:
    """A mutant that cannot even start, or whose text isn't there, is no success of the check."""
    file = "labsessions/core/machine.py"
    syntax = judge(Mutant("syntax", file, "def wake_at(", "def wake at(", SIMULATOR))
    assert not syntax.noticed
    assert "exit status 1" in syntax.how
    gone = judge(Mutant("gone", file, "there is no such text", "", SIMULATOR))
    assert (gone.noticed, gone.how) == (False, f"the old text is in {file} 0 times")


def test_one_millisecond_is_noticed() -> None:
    """The check itself works: the one mutant that is tried by every run of the suite."""
    verdict = judge(next(mutant for mutant in MUTANTS if mutant.name == "fire 1 ms early"))
    assert verdict.noticed
    assert "invariant 2: " in verdict.how


@pytest.mark.mutation
def test_the_unchanged_copy_is_clean() -> None:
    """Or everything would be noticed."""
    assert judge(None).how == "nothing noticed"


@pytest.mark.mutation
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_noticed(mutant: Mutant) -> None:
    """By the simulator within its fixed seeds, or by the part of the suite that it names."""
    verdict = judge(mutant)
    assert verdict.noticed, verdict.how

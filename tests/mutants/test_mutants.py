"""The patches that break a law do not rot while nobody runs them: `./run mutants` shows that each is noticed."""

from __future__ import annotations

import re

import pytest

from mutants.mutant import ROOT, Mutant, apply, mutants

LAWS = range(1, 9)


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies_and_names_a_test_that_is_there(mutant: Mutant) -> None:
    """A patch that misses its mark breaks nothing, and would seem to show that its test is worth nothing."""
    assert apply(mutant, ROOT, check=True) == ""
    file, _, function = re.sub(r"\[.*", "", mutant.test).partition("::")
    assert f"\ndef {function}(" in (ROOT / file).read_text()


def test_every_law_has_a_mutant() -> None:
    """A law that nothing has ever broken is a law of which nobody knows whether it is guarded."""
    assert {mutant.law for mutant in mutants()} == set(LAWS)

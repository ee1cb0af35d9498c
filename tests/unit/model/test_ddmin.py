"""The conversation that a search is: what it wants, what it is told, what it gives."""

from __future__ import annotations

import pytest

from backout.model.ddmin import PASSES, Atoms, Outcome, Search, Split, answer

RED, LATER, HALF = frozenset({"imports: it broke"}), frozenset({"answers: 500"}), frozenset({"imports: half of it"})


def atoms(*chosen: int) -> Atoms:
    """Some atoms."""
    return frozenset(chosen)


def test_it_needs_no_more_than_the_answer_of_the_first() -> None:
    """Whoever has room for one trial only is no worse off than ddmin alone."""
    trials: list[Atoms] = []

    def ask(wanted: tuple[Atoms, ...]) -> dict[Atoms, Outcome]:
        trials.append(wanted[0])
        return {wanted[0]: RED if 2 in wanted[0] else PASSES}

    assert answer(Search(4, RED).part(atoms(0, 1, 2, 3)), ask, at_once=8) == atoms(2)
    assert len(trials) <= 3


def test_what_was_learnt_beside_is_not_asked_about_again() -> None:
    """Several host halves answer at the same time; none of their trials is lost."""
    search = Search(8, RED)
    asking = search.part(frozenset(range(8)))
    first = next(asking)
    assert len(first) > 2
    then = asking.send(dict.fromkeys(first[:3], PASSES))
    assert not set(first[:3]) & set(then)
    assert set(first[:3]) <= search.known.keys()


def test_half_of_what_belongs_together_is_not_what_was_asked_about() -> None:
    """Flask without its Werkzeug breaks the site, too: that is not how the change broke it."""

    def oracle(chosen: Atoms) -> Outcome:
        if len(chosen & {1, 4}) == 1:
            return HALF
        return RED if {1, 4} <= chosen else PASSES

    search = Search(6, RED)
    split = answer(search.parts(), lambda wanted: {each: oracle(each) for each in wanted}, at_once=1)
    assert split == Split((atoms(1, 4),), atoms(0, 2, 3, 5))
    assert search.unresolved


def test_the_second_part_is_asked_about_what_the_rest_breaks() -> None:
    """Once setuptools is out of it, the site may break for another reason, which nobody has seen before."""

    def oracle(chosen: Atoms) -> Outcome:
        if 3 in chosen:
            return RED
        return LATER if 0 in chosen else PASSES

    search = Search(6, RED)
    split = answer(search.parts(), lambda wanted: {each: oracle(each) for each in wanted}, at_once=2)
    assert split == Split((atoms(3), atoms(0)), atoms(1, 2, 4, 5))
    assert search.known[atoms(3)] == RED
    assert search.known[atoms(0)] == LATER
    assert search.found == [atoms(3), atoms(0)]


def test_a_change_of_one_atom_takes_no_trial_but_of_what_is_known() -> None:
    """All of it fails and none of it passes: that is the answer."""
    assert answer(Search(1, RED).parts(), lambda _: pytest.fail("asked"), at_once=1) == Split((atoms(0),), atoms())


def test_what_breaks_nothing_has_no_part() -> None:
    """The caller tells that the failure needs what a rehearsal does not have."""
    assert answer(Search(3, PASSES).parts(), lambda _: pytest.fail("asked"), at_once=1) == Split((), atoms(0, 1, 2))


def test_one_outcome_of_several_checks_is_enough_to_fail() -> None:
    """Two checks turned red; a part that breaks one of them as the change did is guilty."""
    search = Search(4, RED | LATER)
    asked = search.parts()
    oracle = {2: RED, 3: LATER}
    split = answer(
        asked, lambda wanted: {each: PASSES.union(*(oracle.get(atom, PASSES) for atom in each)) for each in wanted}, 1
    )
    assert sorted(map(sorted, split.parts)) == [[2], [3]]

"""Whatever the oracle is like, the answer fails, is needed atom by atom, and nothing was tried twice to find it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from backout.model.ddmin import PASSES, Atoms, Outcome, Search, Split, answer

FAILS, ANOTHER, OTHERWISE = (frozenset({name}) for name in ("fails", "another", "otherwise"))
Oracle = Callable[[Atoms], Outcome]


class Tried(NamedTuple):
    """What a search came to: the answer, the trials in their order, and the search."""

    split: Split
    trials: list[Atoms]
    search: Search


def split(count: int, oracle: Oracle, at_once: int = 1) -> Tried:
    """Search to the end; each trial is written down."""
    search, trials = Search(count, oracle(frozenset(range(count)))), list[Atoms]()

    def ask(subsets: tuple[Atoms, ...]) -> dict[Atoms, Outcome]:
        trials.extend(subsets)
        return {subset: oracle(subset) for subset in subsets}

    return Tried(answer(search.parts(), ask, at_once), trials, search)


@st.composite
def any_oracle(draw: st.DrawFn) -> tuple[int, Oracle]:
    """Answer each subset as it was drawn; only that all break something and none nothing is sure."""
    count = draw(st.integers(1, 6))
    subsets = [frozenset(chosen) for size in range(1, count) for chosen in combinations(range(count), size)]
    outcome = st.sampled_from([PASSES, FAILS, ANOTHER, OTHERWISE, FAILS | ANOTHER])
    outcomes = draw(st.lists(outcome, min_size=len(subsets), max_size=len(subsets)))
    table = dict(zip(subsets, outcomes, strict=True))
    table[frozenset(range(count))] = draw(st.sampled_from([FAILS, FAILS | ANOTHER]))
    return count, lambda subset: table.get(subset, PASSES)


@st.composite
def monotone_oracle(draw: st.DrawFn) -> tuple[int, list[Atoms], Oracle]:
    """Fail where one of a few culprits is there as a whole."""
    count = draw(st.integers(1, 40))
    culprit = st.frozensets(st.integers(0, count - 1), min_size=1, max_size=4)
    culprits = draw(st.lists(culprit, min_size=1, max_size=4))
    return count, culprits, lambda subset: FAILS if any(one <= subset for one in culprits) else PASSES


@given(any_oracle())
def test_each_part_fails_and_without_any_one_of_its_atoms_it_does_not(drawn: tuple[int, Oracle]) -> None:
    """What is said to be guilty is looked at by a person: an innocent package in it is an hour lost."""
    count, oracle = drawn
    found = split(count, oracle).split
    rest = frozenset(range(count))
    for part in found.parts:
        about = oracle(rest)
        assert oracle(part) & about
        assert not any(oracle(part - {atom}) & about for atom in part)
        rest -= part
    assert rest == found.rest
    assert oracle(rest) == PASSES
    assert found.parts


@given(any_oracle())
def test_nothing_is_tried_twice_nor_what_was_known_before(drawn: tuple[int, Oracle]) -> None:
    """A trial starts the application: it is what all of it costs."""
    count, oracle = drawn
    trials = split(count, oracle, at_once=3).trials
    assert len(trials) == len(set(trials))
    assert not {frozenset(), frozenset(range(count))} & set(trials)


@given(any_oracle(), st.integers(2, 70))
def test_the_answer_does_not_depend_on_how_many_are_tried_at_once(drawn: tuple[int, Oracle], at_once: int) -> None:
    """Else two people who ask the same question on two machines would argue about it."""
    count, oracle = drawn
    alone, together = split(count, oracle), split(count, oracle, at_once)
    assert together.split == alone.split
    assert set(together.trials) >= set(alone.trials)


@given(any_oracle())
def test_never_more_trials_than_ddmin_may_take(drawn: tuple[int, Oracle]) -> None:
    """The paper's bound for the worst of oracles is n^2 + 3n, for each part; each rest takes one more."""
    count, oracle = drawn
    found = split(count, oracle)
    assert len(found.trials) <= len(found.split.parts) * (count * count + 3 * count + 1)


@given(monotone_oracle())
def test_of_independent_culprits_each_is_a_part(drawn: tuple[int, list[Atoms], Oracle]) -> None:
    """The rest is applied by itself: it must not keep a second fault."""
    count, culprits, oracle = drawn
    found = split(count, oracle).split
    assert set(found.parts) <= set(culprits)
    assert not any(culprit <= found.rest for culprit in culprits)
    assert all(part.isdisjoint(other) for part, other in combinations(found.parts, 2))


@given(st.integers(1, 5000), st.data())
def test_one_culprit_among_many_takes_about_as_many_trials_as_halving_them(count: int, data: st.DataObject) -> None:
    """5,000 files take 14 trials, not 5,000."""
    culprit = data.draw(st.integers(0, count - 1))
    found = split(count, lambda subset: FAILS if culprit in subset else PASSES)
    assert found.split.parts == (frozenset({culprit}),)
    assert len(found.trials) <= 2 * count.bit_length() + 1


@given(any_oracle())
def test_what_was_unresolved_is_counted(drawn: tuple[int, Oracle]) -> None:
    """Many trials that broke in another way say that atoms belong together."""
    count, oracle = drawn
    found = split(count, oracle)
    parts, everything = found.split.parts, frozenset(range(count))
    about = PASSES.union(*(oracle(everything.difference(*parts[:at])) for at in range(len(parts))))
    assert found.search.unresolved == sum(bool(oracle(trial)) and not oracle(trial) & about for trial in found.trials)

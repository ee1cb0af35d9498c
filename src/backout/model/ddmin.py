"""The smallest part of many atoms that still fails, by trying as few subsets as possible. Pure: others do the trying.

It answers what ddmin does (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE
Transactions on Software Engineering 28(2), 2002), and as firmly: the result fails, and without any single one of its
atoms it does not, whatever the oracle is like.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from itertools import islice, takewhile
from typing import NamedTuple, TypeVar

Atoms = frozenset[int]
"""A subset, by the atoms' indices."""
Outcome = frozenset[str]
"""What a trial broke: the signatures of the checks that were unhealthy in it."""
PASSES: Outcome = frozenset()
"""The outcome of a trial in which every check was healthy."""

_AHEAD = 64
"""How many subsets are wanted at a time, at most: each is as large as what is searched."""
_Answer = TypeVar("_Answer")
Asking = Generator[tuple[Atoms, ...], Mapping[Atoms, Outcome], _Answer]
"""Yields what it wants tried, in the order in which it needs the answers, and is sent what came of it.

Send at least the outcome of the first subset of those; what was learnt of more, the others say. So as many may be
tried at the same time as there is room for, and it does not change the answer. None is asked about twice; what is still
needed is yielded again. Returns the answer, with StopIteration.
"""


class Split(NamedTuple):
    """All atoms, taken apart: each of the parts fails by itself, in the order found; together the rest passes."""

    parts: tuple[Atoms, ...]
    rest: Atoms


class Search:
    """What is asked, and known, of the atoms 0 to `count` - 1, where all of them break `broken` and none break nothing.

    A subset fails when it breaks something that all of what is searched in break; what breaks nothing but other things
    is unresolved, and says as little as what passes. `known` holds the outcome of every subset that was tried;
    `failing` is what the part that is looked for was narrowed to.
    """

    def __init__(self, count: int, broken: Outcome) -> None:
        self.failing: Atoms = frozenset(range(count))
        self.known: dict[Atoms, Outcome] = {frozenset(): PASSES, self.failing: broken}
        self._asked_about: list[Outcome] = []

    @property
    def unresolved(self) -> int:
        """Tell how many trials broke something, but nothing that was asked about."""
        about: Outcome = frozenset().union(*self._asked_about)
        return sum(1 for outcome in self.known.values() if outcome and outcome.isdisjoint(about))

    def parts(self) -> Asking[Split]:
        """Find part after part, each in what remains without those before, until what remains passes.

        What a part breaks is what all that remained broke: the second may well break something else than the first.
        """
        parts: list[Atoms] = []
        rest = self.failing
        while (yield from self._outcome(rest)):
            parts.append((yield from self.part(rest)))
            rest -= parts[-1]
        return Split(tuple(parts), rest)

    def part(self, within: Atoms) -> Asking[Atoms]:
        """Find a part of `within`, which breaks something, that fails, and does not without any one of its atoms."""
        about = yield from self._outcome(within)
        self._asked_about.append(about)
        self.failing = within
        yield from self._narrow(about)
        yield from self._without_each(about)
        return self.failing

    def _narrow(self, about: Outcome) -> Asking[None]:
        """Leave out as much as possible from the front, until each atom was left out or was needed when it was tried.

        How much goes is searched by halving: that takes log2 trials for each atom that is needed.
        """
        ahead = sorted(self.failing)
        too_many = 2 * len(ahead)  # so many of those ahead cannot go: all of them is what is tried first
        while ahead:
            sizes = _halves(too_many)
            found = yield from self._first((self.failing.difference(ahead[:size]) for size in sizes), about)
            if found is None:
                del ahead[0]  # it is needed
                too_many = 2 * len(ahead)
            else:
                del ahead[: sizes[found]]
                too_many = (sizes[found - 1] if found else too_many) - sizes[found]

    def _without_each(self, about: Outcome) -> Asking[None]:
        """Leave out single atoms until none can go any more."""
        order = sorted(self.failing)
        while True:
            found = yield from self._first((self.failing - {atom} for atom in order), about)
            if found is None:
                return
            order = order[found + 1 :] + order[:found]  # those before were needed a moment ago, and come last

    def _first(self, subsets: Iterable[Atoms], about: Outcome) -> Asking[int | None]:
        """Find the first of them that fails, which is `failing` from then on; None where none does."""
        coming, at = iter(subsets), 0
        while portion := tuple(islice(coming, _AHEAD)):
            for subset in portion:
                while subset not in self.known:
                    self.known.update((yield self._wanted(portion, about)))
                if about & self.known[subset]:
                    self.failing = subset
                    return at
                at += 1
        return None

    def _wanted(self, subsets: Iterable[Atoms], about: Outcome) -> tuple[Atoms, ...]:
        """Give those of which nothing is known, up to one that is known to fail."""
        undecided = takewhile(lambda subset: not about & self.known.get(subset, PASSES), subsets)
        return tuple(dict.fromkeys(subset for subset in undecided if subset not in self.known))

    def _outcome(self, subset: Atoms) -> Asking[Outcome]:
        while subset not in self.known:
            self.known.update((yield (subset,)))
        return self.known[subset]


def _halves(number: int) -> list[int]:
    """Give half of it, half of that, and so on down to 1."""
    return [number >> by for by in range(1, number.bit_length())]


def answer(
    asking: Asking[_Answer], ask: Callable[[tuple[Atoms, ...]], Mapping[Atoms, Outcome]], at_once: int
) -> _Answer:
    """Answer it to the end: `ask` tries up to `at_once` subsets together, and gives their outcomes."""
    try:
        wanted = next(asking)
        while True:
            wanted = asking.send(ask(wanted[:at_once]))
    except StopIteration as ended:
        result: _Answer = ended.value
        return result

"""The smallest part of many atoms that still fails, by trying as few subsets as possible. Pure: others do the trying.

It answers what ddmin does (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE
Transactions on Software Engineering 28(2), 2002), and as firmly: the result fails, and without any single one of its
atoms it does not, whatever the oracle is like. It asks in another order, which takes fewer trials: `./run bench split`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
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
"""Yields what it wants tried, and is sent what came of it; returns the answer, with StopIteration.

The first subset is what it needs to go on; the others are what it is likely to need next, the likeliest first. Send at
least the outcome of the first. What is sent of others is kept: so as many may be tried at the same time as there is
room for, and the answer is the same. None is asked about twice.
"""


class Split(NamedTuple):
    """All atoms, taken apart: each of the parts fails by itself, in the order found; together the rest passes."""

    parts: tuple[Atoms, ...]
    rest: Atoms


class Search:
    """What is asked, and known, of the atoms 0 to `count` - 1, where all of them break `broken` and none break nothing.

    A subset fails when it breaks something that all of what is searched in break; what breaks nothing but other things
    is unresolved, and says as little as what passes. `known` holds the outcome of every subset that was tried;
    `failing` is what the part that is looked for was narrowed to, `found` are those that were found before it. Atoms
    that need others are best put after them.
    """

    def __init__(self, count: int, broken: Outcome) -> None:
        self.failing: Atoms = frozenset(range(count))
        self.found: list[Atoms] = []
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
        rest = self.failing
        while (yield from self._outcome([rest])):
            self.found.append((yield from self.part(rest)))
            rest -= self.found[-1]
        return Split(tuple(self.found), rest)

    def part(self, within: Atoms) -> Asking[Atoms]:
        """Find a part of `within`, which breaks something, that fails, and does not without any one of its atoms."""
        about = yield from self._outcome([within])
        self._asked_about.append(about)
        self.failing = within
        yield from self._narrow(about)
        yield from self._leave_out_each(about)
        return self.failing

    def _narrow(self, about: Outcome) -> Asking[None]:
        """Leave out as many as possible from the end, until each atom was left out, or was needed when it was tried.

        How many can go is found by halving, for where a trial passes, what was left out is needed: log2 trials for each
        such atom. Where it is unresolved, atoms belong together, and halving tells nothing: then few are left out at a
        time, and what cannot go comes again once others have gone. What needs others should come after them.
        """
        ahead = sorted(self.failing, reverse=True)
        size, too_many, in_vain, in_a_row = len(ahead), 0, 0, 0
        while in_vain < len(ahead):
            size = min(size, len(ahead))
            outcome = yield from self._outcome(self._without_some(ahead, size))
            if about & outcome:
                self.failing = self.failing.difference(ahead[:size])
                del ahead[:size]
                too_many, in_vain, in_a_row = max(0, too_many - size), 0, in_a_row + 1
                size = max(1, too_many // 2) if too_many else size * min(in_a_row, 2)
                continue
            in_a_row = 0
            if size > 1:
                too_many, size = (0, max(1, size // 4)) if outcome else (size, size // 2)
            elif outcome:
                ahead.append(ahead.pop(0))
                too_many, in_vain = 0, in_vain + 1
            else:
                del ahead[0]
                too_many, size = 0, max(1, len(ahead))

    def _without_some(self, ahead: Sequence[int], size: int) -> Iterator[Atoms]:
        """Leave out that many; should that not fail, half of them, and so on down to one; then another one."""
        while size > 1:
            yield self.failing.difference(ahead[:size])
            size //= 2
        yield from (self.failing - {atom} for atom in ahead)

    def _leave_out_each(self, about: Outcome) -> Asking[None]:
        """Leave out single atoms until none can go any more."""
        order, needed = deque(sorted(self.failing)), 0
        while needed < len(order):
            outcome = yield from self._outcome(self.failing - {atom} for atom in order)
            atom = order.popleft()
            if about & outcome:
                self.failing, needed = self.failing - {atom}, 0
            else:
                order.append(atom)
                needed += 1

    def _outcome(self, wanted: Iterable[Atoms]) -> Asking[Outcome]:
        """Give the outcome of the first one; the others are what is likely to be wanted next."""
        coming = iter(wanted)
        subset = next(coming)
        while subset not in self.known:
            likely = [other for other in islice(coming, _AHEAD) if other not in self.known]
            self.known.update((yield tuple(dict.fromkeys([subset, *likely]))))
        return self.known[subset]


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

"""Which parts of a change break its checks: what trials told, and nothing that they told in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backout.errors import FailedError
from backout.flow.session import Teller
from backout.flow.trials import OverError, Trials, Tried
from backout.host.network import NO_NETWORK_LIMIT
from backout.model.check import Check, CheckResult
from backout.model.ddmin import PASSES, Atoms, Outcome, Search, answer
from backout.model.oracle import Flaky, Oracle, contradicting, oracle, outcome

_NO_NETWORK = "Trials had no network."
_NONE: Atoms = frozenset()
_SLOWER, _MORE_S = 2.0, 1.0
"""How much longer than the healthy trial a check may take in the search, before its own limit is over."""


class Part(NamedTuple):
    """A part that breaks the change's checks, and what one of them said about it.

    `smallest` tells whether without any one of its atoms it does not; else there was no time to find that out.
    """

    atoms: Atoms
    result: CheckResult
    smallest: bool = True


class Found(NamedTuple):
    """What the trials told. Without `rest` there is nothing left, or there was no time to try it."""

    oracle: Oracle
    parts: tuple[Part, ...] = ()
    rest: Atoms | None = None
    flaky: tuple[Flaky, ...] = ()
    unresolved: int = 0
    over: bool = False


class Searching:
    """The search through a change's atoms, and what became known on the way."""

    def __init__(self, tell: Teller, trials: Trials, count: int, checks: tuple[Check, ...]) -> None:
        self._tell, self._trials, self._checks = tell, trials, checks
        self._whole: Atoms = frozenset(range(count))
        self._hasty = checks
        self._said: dict[Atoms, Tried] = {}
        self.limits: dict[str, None] = {}

    def find(self) -> Found:
        """Find the parts, and see each fail and the rest pass once more, with all the time that a check has."""
        known = self._first()
        if known.flaky or not known.broken:
            return Found(known, flaky=known.flaky)
        self._hasty, self._checks = (
            tuple(check for check in checks if check.name in known.checks) for checks in (self._hasty, self._checks)
        )
        search = Search(len(self._whole), known.broken)
        try:
            found = answer(search.parts(), lambda wanted: self._ask(search, wanted), self._trials.at_once)
            flaky = self._verified(search, (*found.parts, found.rest), known.broken)
        except OverError:
            return self._unfinished(known, search)
        parts = tuple(self._part(part, known.broken) for part in found.parts)
        if flaky:
            return Found(known, flaky=flaky, unresolved=search.unresolved)
        return Found(known, parts, found.rest, unresolved=search.unresolved)

    def _first(self) -> Oracle:
        """Try all and none of it, each twice: the second time no longer than what is healthy takes."""
        try:
            one = self._pair(self._checks)
            self._hasty = tuple(_hasty(check, one[1].took_s * self._trials.at_once) for check in self._checks)
            two = self._pair(self._hasty)
            if self._hasty != self._checks and _oracle(one, two).flaky:  # it may just need the time that it has
                self._hasty = self._checks
                two = self._pair(self._hasty)
        except OverError:
            raise FailedError(
                "The time was over before it was known what all and none of the change do.",
                next="Give it more: --timeout, or none.",
            ) from None
        self._said[self._whole] = one[0]
        return _oracle(one, two)

    def _pair(self, checks: tuple[Check, ...]) -> list[Tried]:
        self._tell.step(f"trial {self._trials.count + 1}: all of it, and none of it")
        return self._try([self._whole, _NONE], checks)

    def _try(self, wanted: Sequence[Atoms], checks: tuple[Check, ...]) -> list[Tried]:
        tried = self._trials.each([(part, checks) for part in wanted])
        seen = (limit for each in tried for limit in each.limits)
        self.limits.update(dict.fromkeys(_NO_NETWORK if limit == NO_NETWORK_LIMIT else limit for limit in seen))
        return tried

    def _ask(self, search: Search, wanted: Sequence[Atoms]) -> dict[Atoms, Outcome]:
        left = f"{len(search.failing):,} of {len(self._whole):,} atoms left"
        self._tell.step(f"trial {self._trials.count + 1}: {left}")
        tried = self._try(wanted, self._hasty)
        self._said.update(zip(wanted, tried, strict=True))
        return {part: outcome(each.results) for part, each in zip(wanted, tried, strict=True)}

    def _verified(self, search: Search, wanted: Sequence[Atoms], broken: Outcome) -> tuple[Flaky, ...]:
        """Try the answer once more; gives each check that says something else now."""
        wanted = [part for part in wanted if part not in (_NONE, self._whole)]
        self._tell.step(f"trial {self._trials.count + 1}: the answer once more")
        flaky: list[Flaky] = []
        for part, again in zip(wanted, self._try(wanted, self._checks), strict=True):
            before, now = search.known[part], outcome(again.results)
            if now.isdisjoint(before | broken) if before else now != PASSES:
                pairs = zip(self._said[part].results, again.results, strict=True)
                flaky += [flaky for pair in pairs for flaky in contradicting(pair)]
            else:
                self._said[part] = again
        return tuple(flaky)

    def _part(self, atoms: Atoms, broken: Outcome, *, smallest: bool = True) -> Part:
        """Choose what to tell of a part: a check that it breaks as the change does, else any that it breaks."""
        red = [result for result in self._said[atoms].results if outcome([result])]
        return Part(atoms, next((result for result in red if outcome([result]) <= broken), red[0]), smallest)

    def _unfinished(self, known: Oracle, search: Search) -> Found:
        """Tell what is known when the time is over: the parts that were found, and what one more is in."""
        parts = [self._part(part, known.broken) for part in search.found]
        if search.failing not in search.found:
            parts.append(self._part(search.failing, known.broken, smallest=False))
        return Found(known, tuple(parts), unresolved=search.unresolved, over=True)


def _oracle(one: Sequence[Tried], two: Sequence[Tried]) -> Oracle:
    return oracle((one[0].results, two[0].results), (one[1].results, two[1].results))


def _hasty(check: Check, took_s: float) -> Check:
    """Give a check no more time than it needs where it is healthy: what fails would use up all of it, in each trial.

    `took_s` is what that took, times the trials that go on beside it.
    """
    return check._replace(within_s=min(check.within_s, _SLOWER * took_s + _MORE_S))

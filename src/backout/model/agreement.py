"""Several hosts a side: whether those of an environment agree, and what tells two environments apart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model.digest import canonical
from backout.model.effect import Effect, operation
from backout.model.parity import ORDER, Difference


class Row(NamedTuple):
    """A difference and the hosts that it holds for.

    `within` names the environment whose hosts do not agree: `before` is then what is usual there, and `hosts` are the
    odd ones. Without it, it is between the environments: `hosts` are those of the second one. `usual` are those
    that have what is before.
    """

    within: str | None
    difference: Difference
    hosts: tuple[str, ...]
    usual: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[bool, int, str, list[str], tuple[str, ...]]:
        """Give what rows are sorted by: between the environments first, then by surprise."""
        kind, subject = self.difference[:2]
        rank = ORDER.index(kind) if kind in ORDER else len(ORDER)
        return self.within is not None, rank, self.within or "", subject.split("/"), self.hosts

    @property
    def effect(self) -> Effect:
        """Give the difference as an effect."""
        return self.difference.effect


class _Value(NamedTuple):
    compared: Any
    value: Any
    hidden: tuple[str, ...]
    hosts: list[str]


def rows(
    here: tuple[str, Sequence[str]], there: tuple[str, Sequence[str]], found: Mapping[str, Iterable[Difference]]
) -> list[Row]:
    """Put together what the first host of `here` has found different on every other one: `found`, by host.

    `here` and `there` are an environment's name and its hosts. Every difference is told once. In each environment that
    value is usual which most hosts have; where as many have another, the one that the other environment has, too.
    """
    by_subject: dict[tuple[str, str], dict[str, Difference]] = {}
    for host, differences in found.items():
        for difference in differences:
            by_subject.setdefault(difference[:2], {})[host] = difference
    told: list[Row] = []
    for on in by_subject.values():
        told += _told(here, there, on)
    return sorted(told, key=lambda row: row.key)


def _told(here: tuple[str, Sequence[str]], there: tuple[str, Sequence[str]], on: Mapping[str, Difference]) -> list[Row]:
    ours, theirs = _values(here[1], on), _values(there[1], on)
    usual = _usual(ours, {canonical(value.compared): len(value.hosts) for value in theirs})
    other = _usual(theirs, {canonical(usual.compared): 1} if usual else {})
    kind, subject = next(iter(on.values()))[:2]
    told = [
        Row(name, _between(kind, subject, most, value), tuple(value.hosts), tuple(most.hosts))
        for name, values, most in ((here[0], ours, usual), (there[0], theirs, other))
        for value in values
        if most is not None and value is not most
    ]
    if usual is not None and other is not None and canonical(usual.compared) != canonical(other.compared):
        told.append(Row(None, _between(kind, subject, usual, other), tuple(other.hosts), tuple(usual.hosts)))
    return told


def _values(hosts: Sequence[str], on: Mapping[str, Difference]) -> list[_Value]:
    """Sort hosts by what they have: one on which nothing was found different has what the first one has."""
    first = next(iter(on.values()))
    values: dict[bytes, _Value] = {}
    for host in hosts:
        found = on.get(host)
        compared, value = (first.here, first.before) if found is None else (found.there, found.after)
        hidden = first.hidden if found is None else found.hidden
        values.setdefault(canonical(compared), _Value(compared, value, hidden, [])).hosts.append(host)
    return list(values.values())


def _usual(values: list[_Value], preferred: Mapping[bytes, int]) -> _Value | None:
    return max(values, key=lambda one: (len(one.hosts), preferred.get(canonical(one.compared), 0)), default=None)


def _between(kind: str, subject: str, one: _Value, other: _Value) -> Difference:
    hidden = one.hidden if one.hidden == other.hidden else ()
    return Difference(kind, subject, one.value, other.value, one.compared, other.compared, hidden)


def op(row: Row) -> str:
    """Name what would have to be done: added, removed or edited."""
    return operation(row.difference.here, row.difference.there)

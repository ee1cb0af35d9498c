"""Facts: what holds on a host, one row each, in one order everywhere. Parity is their difference. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from backout.model import shape

KINDS = (
    "os",
    "kernel",
    "timezone",
    "locale",
    "debian-package",
    "python",
    "python-package",
    "service",
    "variable",
    "timer",
    "cron",
    "port",
    "certificate",
    "user",
    "group",
    "sysctl",
    "mount",
    "config",
    "file",
)
"""Every kind of fact, in the order of documents. Those that are kinds of effects, too, mean the same there."""

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}


class Fact(NamedTuple):
    """One thing that holds on a host, in the words of effects. `value` is any JSON value but null."""

    kind: str
    subject: str
    value: Any

    @property
    def key(self) -> tuple[int, list[str]]:
        """Give what facts are sorted by: the kind, then the subject by its parts, as a walk meets paths."""
        return _RANK[self.kind], self.subject.split("/")


_make = partial(tuple.__new__, Fact)


def is_row(value: Any) -> bool:
    """Tell whether a JSON value is a fact: a list of kind, subject and value."""
    if not isinstance(value, list) or len(value) != len(Fact._fields):
        return False
    kind, subject, what = value
    return isinstance(kind, str) and kind in _RANK and shape.text(subject) and what is not None


def from_rows(rows: Iterable[Sequence[Any]]) -> list[Fact]:
    """Make facts of rows, each of which has been told to be one: of half a million, checking once more would weigh."""
    return list(map(_make, rows))


class Pair(NamedTuple):
    """One subject on two sides; None where it is not there."""

    here: Fact | None
    there: Fact | None


def pairs(here: Iterable[Fact], there: Iterable[Fact]) -> Iterator[Pair]:
    """Walk two sides, each in the order of `Fact.key`, and give every subject once. Holds one fact of each side."""
    left, right = iter(here), iter(there)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.key < other.key):
            yield Pair(one, None)
            one = next(left, None)
        elif one is None or other.key < one.key:
            yield Pair(None, other)
            other = next(right, None)
        else:
            yield Pair(one, other)
            one, other = next(left, None), next(right, None)

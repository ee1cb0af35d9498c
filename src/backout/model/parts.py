"""Facts cut into parts that are stored by content: equal facts make equal parts, whatever stands around them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from backout.model import shape
from backout.model.digest import canonical
from backout.model.fact import Fact, Pair, is_row

_LONGEST = 4096

Named = Iterable[str]
Content = Callable[[str], bytes]
"""Gives the part of a name."""


class Cutting:
    """Cuts facts that come one after another, in their order, into parts: JSON lists of rows, one a line."""

    def __init__(self) -> None:
        self._rows: list[bytes] = []

    def add(self, fact: Fact) -> bytes | None:
        """Take one fact; gives the part that ends with it, where one does."""
        self._rows.append(canonical(list(fact)))
        return self.rest() if len(self._rows) == _LONGEST or _ends(fact.subject) else None

    def rest(self) -> bytes | None:
        """Give what is left as the last part; None when nothing is."""
        rows, self._rows = self._rows, []
        return b"\n".join(rows) or None


def cut(facts: Iterable[Fact]) -> Iterator[bytes]:
    """Cut facts, in their order, into parts."""
    cutting = Cutting()
    yield from filter(None, map(cutting.add, facts))
    yield from filter(None, [cutting.rest()])


def _ends(subject: str) -> bool:
    """Tell whether a part ends here: one of 256 does, so that where facts came or went the next part is as before."""
    return hashlib.sha256(subject.encode(errors="surrogateescape")).digest()[0] == 0


def read(part: bytes) -> list[Fact]:
    """Read a part back; ValueError when it is none."""
    rows = shape.load_lines(part)
    if not all(map(is_row, rows)):
        raise ValueError("not a part of facts")
    return [Fact(*row) for row in rows]


def differing(here: Named, there: Named, content: Content) -> Iterator[Pair]:
    """Walk two stored fact sets, and give what is not the same on both.

    Holds a part of each side, and reads no part that both sides have at the same place.
    """
    left, right = _Side(here, content), _Side(there, content)
    while left.more and right.more:
        if left.name is not None and left.name == right.name:
            left.skip()
            right.skip()
            continue
        one, other = left.first, right.first
        if one == other:
            left.take()
            right.take()
        elif one.key == other.key:
            yield Pair(left.take(), right.take())
        elif one.key < other.key:
            yield Pair(left.take(), None)
        else:
            yield Pair(None, right.take())
    while left.more:
        yield Pair(left.take(), None)
    while right.more:
        yield Pair(None, right.take())


class _Side:
    """One stored fact set, read part by part. `name` is that of the next part, where none has been begun."""

    def __init__(self, names: Named, content: Content) -> None:
        self._names, self._content = iter(names), content
        self._rows: list[Fact] = []
        self.name: str | None = next(self._names, None)

    @property
    def more(self) -> bool:
        return bool(self._rows) or self.name is not None

    @property
    def first(self) -> Fact:
        if not self._rows and self.name is not None:
            self._rows = read(self._content(self.name))[::-1]
            self.name = None
        return self._rows[-1]

    def take(self) -> Fact:
        fact = self.first
        self._rows.pop()
        if not self._rows:
            self.name = next(self._names, None)
        return fact

    def skip(self) -> None:
        self.name = next(self._names, None)

"""Which changed lines of a configuration file belong to which of its keys, whatever its format.

Every changed block of lines is put into the content before by itself, and read: the keys that differ then are its keys.
So one rule projects every format, keeps what people wrote around it, and sees changes that are in no key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple

Key = tuple[str, ...]
Flat = dict[Key, str]
"""Every leaf of a file by its path of keys, as JSON text."""
Reader = Callable[[bytes], "Flat | None"]

_MOST_LINES = 2000
_MOST_READINGS = 400


class Hunk(NamedTuple):
    """Lines `start` to `end` of the content before become `lines`, which changes these keys."""

    start: int
    end: int
    lines: tuple[bytes, ...]
    keys: frozenset[Key] = frozenset()


def attributed(before: bytes, after: bytes, read: Reader) -> list[Hunk] | None:
    """Give the hunks that turn one content into the other, each with its keys.

    None when either side cannot be read, when a hunk changes no key or a comment (that would be left unsaid), when the
    hunks' keys overlap or do not add up, or when there is too much of it.
    """
    flat, flat_after = read(before), read(after)
    if flat is None or flat_after is None:
        return None
    old = before.splitlines(keepends=True)
    found = _hunks(old, after.splitlines(keepends=True))
    if found is None:
        return None
    attribution = _Attribution(old, flat, read)
    hunks = [piece for hunk in found for piece in attribution.pieces(hunk)]
    if any(not hunk.keys or _has_comment(old, hunk) for hunk in hunks):
        return None
    keys = [key for hunk in hunks for key in hunk.keys]
    return hunks if sorted(keys) == sorted(changed(flat, flat_after)) else None


def changed(before: Flat, after: Flat) -> set[Key]:
    """Name the keys that were added, removed, or have another value."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def applied(before: bytes, hunks: Iterable[Hunk]) -> bytes:
    """Give the content before with these hunks in it; hunks at one place go in in the order given."""
    return _put(before.splitlines(keepends=True), hunks)


def _put(old: Sequence[bytes], hunks: Iterable[Hunk]) -> bytes:
    out: list[bytes] = []
    at = 0
    for hunk in hunks:
        out += [*old[at : hunk.start], *hunk.lines]
        at = hunk.end
    return b"".join([*out, *old[at:]])


def _hunks(old: Sequence[bytes], new: Sequence[bytes]) -> list[Hunk] | None:
    if len(old) > _MOST_LINES or len(new) > _MOST_LINES:
        return None
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [Hunk(i1, i2, tuple(new[j1:j2])) for tag, i1, i2, j1, j2 in codes if tag != "equal"]


def _has_comment(old: Sequence[bytes], hunk: Hunk) -> bool:
    touched = [*old[hunk.start : hunk.end], *hunk.lines]
    return any(line.lstrip().startswith((b"#", b";", b"//")) for line in touched)


class _Attribution:
    """Finds out which keys a hunk changes, and whether it falls into smaller ones; counts its readings."""

    def __init__(self, old: Sequence[bytes], flat: Flat, read: Reader) -> None:
        self._old = old
        self._flat = flat
        self._read = read
        self._readings = 0

    def pieces(self, hunk: Hunk) -> list[Hunk]:
        """Give the hunk line by line where that tells its keys apart, else whole; without keys where it has none."""
        whole = self._result(hunk)
        if whole is None:
            return [hunk]
        lines = [self._with_keys(piece) for piece in _joined(_single_lines(hunk), self._result, self._flat)]
        keys = [key for piece in lines for key in piece.keys]
        alike = all((self._result(piece) or {}).get(key) == whole.get(key) for piece in lines for key in piece.keys)
        if alike and sorted(keys) == sorted(changed(self._flat, whole)):
            return lines
        return [hunk._replace(keys=frozenset(changed(self._flat, whole)))]

    def _with_keys(self, hunk: Hunk) -> Hunk:
        return hunk._replace(keys=frozenset(changed(self._flat, self._result(hunk) or {})))

    def _result(self, hunk: Hunk) -> Flat | None:
        self._readings += 1
        return self._read(_put(self._old, [hunk])) if self._readings <= _MOST_READINGS else None


def _single_lines(hunk: Hunk) -> list[Hunk]:
    """Cut a hunk into lines: pairs where as many went as came, single ones where lines only came or only went."""
    gone, come = hunk.end - hunk.start, len(hunk.lines)
    if gone == come:
        return [Hunk(hunk.start + i, hunk.start + i + 1, (line,)) for i, line in enumerate(hunk.lines)]
    if not gone:
        return [Hunk(hunk.start, hunk.start, (line,)) for line in hunk.lines]
    if not come:
        return [Hunk(at, at + 1, ()) for at in range(hunk.start, hunk.end)]
    return [hunk]


def _joined(lines: Sequence[Hunk], result: Callable[[Hunk], Flat | None], flat: Flat) -> list[Hunk]:
    """Join lines that mean nothing by themselves (a blank, the inside of a list) with those that follow."""
    pieces: list[Hunk] = []
    open_piece: Hunk | None = None
    for line in lines:
        if open_piece is not None:
            line = Hunk(open_piece.start, line.end, open_piece.lines + line.lines)  # noqa: PLW2901 - it is the longer line
        read = result(line)
        open_piece = line if read is None or not changed(flat, read) else None
        if open_piece is None:
            pieces.append(line)
    if open_piece is not None and pieces:
        last = pieces.pop()
        pieces.append(Hunk(last.start, open_piece.end, last.lines + open_piece.lines))
    elif open_piece is not None:
        pieces.append(open_piece)
    return pieces

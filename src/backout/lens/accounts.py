"""The files of users and groups: colon-separated lines keyed by name (passwd(5), shadow(5), group(5), subuid(5))."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from backout.lens import records
from backout.lens.content import only_bytes_differ

if TYPE_CHECKING:
    from backout.lens.view import View
    from backout.model.effect import RawEffect

_FIELDS = 9
"""Of shadow(5), which has the most."""
_DIGITS = 10
"""Of the largest user or group (uid_t has 32 bits)."""
_NOTHING = records.Table((), b"\n", ended=True, by_key={})


class Sides(NamedTuple):
    """One account file before and after."""

    before: records.Table
    after: records.Table

    def line(self, key: str, *, after: bool) -> list[str]:
        """Give a record's fields, padded to all that a format knows; empty when the record is missing."""
        text = (self.after if after else self.before).records().get(key)
        fields = [] if text is None else os.fsdecode(text).split(":")
        return fields and fields + [""] * (_FIELDS - len(fields))


def read(
    paths: Iterable[bytes], raw: Mapping[bytes, RawEffect], view: View, by_line: Collection[bytes] = ()
) -> dict[bytes, Sides]:
    """Read account files on both sides; those of `by_line` may name an account on several lines.

    A file that is no regular file on both sides, or names an account twice, is left out: it stays a `file` effect.
    """
    found = {}
    for path in paths:
        old = view.before(path)
        new = view.after(path) if path in raw else old
        if old is None or new is None:
            continue
        before, after = _table(old, by_line=path in by_line), _table(new, by_line=path in by_line)
        if before is not None and after is not None:
            found[path] = Sides(before, after)
    return found


def standing(
    paths: Iterable[bytes], read: Callable[[bytes], bytes | None], by_line: Collection[bytes] = ()
) -> dict[bytes, Sides]:
    """Read account files as they stand: all that is in them is on the side after.

    A file that is not there, or names an account twice, is left out.
    """
    found = {}
    for path in paths:
        content = read(path)
        after = None if content is None else _table(content, by_line=path in by_line)
        if after is not None:
            found[path] = Sides(_NOTHING, after)
    return found


def explained(found: Mapping[bytes, Sides], raw: Mapping[bytes, RawEffect]) -> frozenset[bytes]:
    """Name the files in which records are different, and are the whole difference."""
    touched = {path: sides for path, sides in found.items() if path in raw and records.differing(*sides)}
    return frozenset(p for p, sides in touched.items() if only_bytes_differ(raw[p]) and records.is_whole(*sides))


def name_of(key: str) -> str:
    """Give the account that a key belongs to: the key itself, or the first field of a line."""
    return key.partition(":")[0]


def project(before: bytes, after: bytes, names: Collection[str], *, by_line: bool = False) -> bytes | None:
    """Give the file with only the records of `names` in it; None when it cannot be told apart into records."""
    old, new = _table(before, by_line=by_line), _table(after, by_line=by_line)
    if old is None or new is None:
        return None
    return records.project(old, new, [key for key in records.differing(old, new) if name_of(key) in names])


def number(field: str) -> int | str:
    """Give an id as a number; as it is where it is none, or is spelt otherwise than a number is."""
    value = int(field) if len(field) <= _DIGITS and field.isdecimal() else None
    return field if value is None or str(value) != field else value


def password_word(field: str) -> str:
    """Say what a password field holds without showing any of it: none, locked or set."""
    if not field:
        return "none"
    return "locked" if field[0] in "!*" else "set"


def _table(content: bytes, *, by_line: bool) -> records.Table | None:
    def key_of(line: bytes) -> str | None:
        if b":" not in line or line.startswith(b"#"):
            return None
        return os.fsdecode(line if by_line else line.partition(b":")[0])

    return records.table(content, key_of)

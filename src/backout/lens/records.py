"""Files that many effects share, as records: lines or stanzas, each with a key.

What makes such a file explained is one test for all of them: its records projected onto the content before give the
content after, byte for byte.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Callable, NamedTuple, Optional

Ident = tuple[Optional[str], bytes, int]
"""A record's key; or, of what is no record (a comment, a blank line), its text and which occurrence of it this is."""


class Table(NamedTuple):
    """A shared file: its pieces in order, each without the separator that ends it."""

    pieces: tuple[tuple[Ident, bytes], ...]
    separator: bytes
    ended: bool
    by_key: dict[str, bytes]

    def records(self) -> dict[str, bytes]:
        """Give the records alone, by key."""
        return self.by_key

    def content(self) -> bytes:
        """Write the file."""
        text = self.separator.join(text for _, text in self.pieces)
        return text + self.separator if self.ended and self.pieces else text


def table(content: bytes, key_of: Callable[[bytes], str | None], separator: bytes = b"\n") -> Table | None:
    """Read a shared file; `key_of` gives a piece's key, None for what is no record. None when a key comes twice."""
    texts = content.split(separator)
    ended = texts[-1] == b""
    pieces: dict[Ident, bytes] = {}
    seen: dict[bytes, int] = {}
    for text in texts[:-1] if ended else texts:
        key = key_of(text)
        if key is None:
            seen[text] = seen.get(text, 0) + 1
        ident = (None, text, seen[text]) if key is None else (key, b"", 0)
        if ident in pieces:
            return None
        pieces[ident] = text
    return _table(pieces.items(), separator, ended=ended)


def _table(pieces: Iterable[tuple[Ident, bytes]], separator: bytes, *, ended: bool) -> Table:
    found = tuple(pieces)
    return Table(found, separator, ended, {ident[0]: text for ident, text in found if ident[0] is not None})


def differing(before: Table, after: Table) -> list[str]:
    """Name the records that were added, removed or changed, sorted."""
    old, new = before.records(), after.records()
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def project(before: Table, after: Table, keys: Collection[str], *, whole: bool = False) -> bytes:
    """Give the content before with only the records of `keys` as they are after; all else stays where it was.

    A new record goes behind the one that it follows in the content after. `whole` lets what is no record come along:
    for a file that was not there before.
    """
    if not set(keys).intersection(differing(before, after)):
        return before.content()

    def chosen(ident: Ident) -> bool:
        return ident[0] in keys or (whole and ident[0] is None)

    new = dict(after.pieces)
    kept = {ident: new.get(ident, text) if chosen(ident) else text for ident, text in before.pieces}
    kept = {ident: text for ident, text in kept.items() if ident in new or not chosen(ident)}
    followers: dict[Ident | None, list[tuple[Ident, bytes]]] = {}
    anchor: Ident | None = None
    for ident, text in after.pieces:
        if ident in kept:
            anchor = ident
        elif chosen(ident):
            followers.setdefault(anchor, []).append((ident, text))
    pieces = list(followers.get(None, ()))
    for ident, text in kept.items():
        pieces += [(ident, text), *followers.get(ident, ())]
    return _table(pieces, before.separator, ended=after.ended).content()


def is_whole(before: Table, after: Table) -> bool:
    """Tell whether the records are the whole difference between two contents."""
    return project(before, after, differing(before, after)) == after.content()

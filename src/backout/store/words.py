"""The words of the journal: what of an event can be searched, and what a misspelt word was meant to be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[^\W_]+")  # as the tokenizer unicode61 cuts
_HASH = re.compile(r"(?:sha256:)?[0-9a-f]{40,}")
_LIKENESS = 0.45
"""From which share of common bigrams on a word is offered. Lower values offer words that look nothing like it."""


def text_of(value: object, between: str = " ") -> str:
    """Give every text in a JSON value, at any depth, but for hashes; bytes that are no characters become `?`."""
    return between.join(_texts(value)).encode("utf-8", "replace").decode()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and not _HASH.fullmatch(value):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def words(text: str) -> list[str]:
    """Cut into words, in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def fts_query(text: str) -> str:
    """Write the FTS5 query for all words, quoted so that none is taken for syntax; empty where there is none."""
    sayable = text.replace("\0", " ").encode("utf-8", "replace").decode()
    parts = [part for part in sayable.split() if _WORD.search(part)]
    quoted = ['"' + part.replace('"', '""') + '"' for part in parts]
    return " ".join(quoted) + "*" if quoted else ""


def nearest(word: str, vocabulary: Iterable[str]) -> str | None:
    """Give the word that shares most bigrams with this one (Dice's coefficient); None where none is like it."""
    wanted = _bigrams(word)
    likeness, best = max(
        ((_likeness(wanted, _bigrams(known)), known) for known in vocabulary),
        default=(0.0, ""),
        key=lambda pair: pair[0],
    )
    return best if likeness >= _LIKENESS else None


def _bigrams(word: str) -> frozenset[str]:
    padded = f"^{word}$"
    return frozenset(padded[place : place + 2] for place in range(len(padded) - 1))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))

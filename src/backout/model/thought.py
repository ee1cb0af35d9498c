"""What a note says by its first words: a hypothesis, what became of one, a decision. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from backout.model.incident import CONFIRMED, DECISION, HYPOTHESIS, NOTE, OPEN, RULED_OUT

_BEGINS = {
    "think": (HYPOTHESIS, OPEN),
    "ruled out": (HYPOTHESIS, RULED_OUT),
    "confirmed": (HYPOTHESIS, CONFIRMED),
    "decided": (DECISION, ""),
}
_WORD = re.compile(r"\w+")
_SMALL = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "no",
        "not",
        "of",
        "on",
        "or",
        "so",
        "that",
        "the",
        "this",
        "to",
        "was",
    ]
)
_LEAST = 0.5
"""So much of the shorter one's words must be in the other for the two to be about the same."""


class Said(NamedTuple):
    """What kind of entry a text is, where a hypothesis stands by it, and what it says besides."""

    kind: str
    state: str
    text: str


def said(text: str) -> Said:
    """Read `think: …`, `ruled out: …`, `confirmed: …` and `decided: …`, whatever their case; all else is a note."""
    first, colon, rest = text.partition(":")
    kind, state = _BEGINS.get(" ".join(first.lower().replace("-", " ").split()), (NOTE, "")) if colon else (NOTE, "")
    return Said(kind, state, text if kind == NOTE else rest.strip())


def fitting(text: str, thoughts: Mapping[int, str]) -> list[int]:
    """Give which of the open hypotheses a text is about, by the words that they share: one, or several that fit alike.

    An empty text is about the only one.
    """
    if not text:
        return list(thoughts) if len(thoughts) == 1 else []
    likeness = {number: _likeness(_words(text), _words(thought)) for number, thought in thoughts.items()}
    best = max(likeness.values(), default=0.0)
    return [number for number, value in likeness.items() if value == best] if best >= _LEAST else []


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Compare by the shorter one; where that is the same, who has fewer words besides is nearer."""
    common, shorter, longer = len(one & other), min(len(one), len(other)), max(len(one), len(other))
    return common / shorter + common / longer / 1000 if shorter else 0.0


def _words(text: str) -> frozenset[str]:
    words = frozenset(_WORD.findall(text.lower()))
    return words - _SMALL or words

"""The terms of a text: its words, what compound names are made of, and pairs of neighbours. Pure.

A word is what SQLite's tokenizer unicode61 takes for one, so that how rare it is can be asked of the index.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_LONGEST_WORD = 64
_REMEMBERED = 1 << 16
"""So many words are read once: a text uses the same ones again and again."""
_GRAMS = (3, 4)
_LEAST = 3
"""The letters that a word has at least of which an ending is taken."""
_STOP = re.compile(
    r"""an?|and|are|as|at|be|been|but|by|can|could|did|do|does|for|from|had|has|have|how|i|if|in|into|is|its?|may|me|my
    |no|not|of|on|or|our|should|so|some|such|than|that|the|theirs?|them|then|there|these|they|this|those|to|up|us|was|we
    |were|what|when|where|which|while|who|why|will|with|would|you|your""",
    re.VERBOSE,
)
"""Words that are in every text; a language other than English loses nothing by them."""


class Word(NamedTuple):
    """A word as the index has it, and the parts that it is made of, where it is a compound such as `FSDownload`."""

    text: str
    parts: tuple[str, ...] = ()


def words(text: str) -> Iterator[Word]:
    """Cut a text into its words, in order, in lower case and without accents; what tells nothing is left out."""
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return (word for written in _WORD.findall(text) if (word := _read(written)) is not None)


@lru_cache(maxsize=_REMEMBERED)
def _read(written: str) -> Word | None:
    word = written.lower()
    if len(written) > _LONGEST_WORD or _STOP.fullmatch(word):
        return None
    parts = () if written in (word, word.capitalize()) and word.isalpha() else _PART.findall(written)
    return Word(word, tuple(part.lower() for part in parts if len(part) > 1) if len(parts) > 1 else ())


@lru_cache(maxsize=_REMEMBERED)
def stem(word: str) -> str:
    """Take the ending of a plural, of what was and of what is being done: `jobs`, `failed`, `starting`.

    It is made to bring forms of one word together, not to be a word.
    """
    if not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST:
            word = word[: -len(ending)] + instead
            break
    return word[:-1] if word.endswith("e") and len(word) > _LEAST + 1 else word


_ENDINGS = (
    *(("sses", "ss"), ("ies", "y"), ("ss", "ss"), ("us", "us"), ("s", "")),
    *(("ied", "y"), ("eed", "ee"), ("ed", ""), ("ing", ""), ("ure", "")),
)


def grams(text: str) -> Counter[str]:
    """Count the pieces of three and of four letters of a text's words: what is spelt alike has many of the same."""
    line = f" {' '.join(word.text for word in words(text))} "
    return Counter(line[at : at + size] for size in _GRAMS for at in range(len(line) - size + 1))


def likeness(one: Counter[str], other: Counter[str]) -> float:
    """Tell how alike two counts are, from 0 to 1 (the cosine)."""
    common = sum(count * other[gram] for gram, count in one.items() if gram in other)
    lengths = math.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in other.values()))
    return common / lengths if lengths else 0.0

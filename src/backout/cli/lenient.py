"""Words that are accepted first and complained about later: what is typed while it burns is never refused for a slip.

Options stand before the text or after it. What is no option, or has no value that can be read, is text like the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

Reads = Callable[[Sequence[str]], tuple[Any, int]]
"""Is given the words after an option; gives its value and how many words that took. A ValueError says what it needs."""


class NoValueError(ValueError):
    """What an option needs, where the next `count` words were meant as its value and are none."""

    def __init__(self, needs: str, count: int) -> None:
        """Say what it needs."""
        super().__init__(needs)
        self.count = count


class Heard(NamedTuple):
    """What was understood: options by their long names, the words of the text, and what there is to say about them."""

    options: Mapping[str, Any]
    text: tuple[str, ...]
    complaints: tuple[str, ...]


def one(words: Sequence[str]) -> tuple[str, int]:
    """Read the next word, whatever it is."""
    if not words:
        raise ValueError("a value")
    return words[0], 1


def number(words: Sequence[str]) -> tuple[int, int]:
    """Read the number of an entry."""
    if not (words and words[0].isdecimal() and 0 < int(words[0]) < 1 << 62):
        raise ValueError("the number of an entry")
    return int(words[0]), 1


def flag(words: Sequence[str]) -> tuple[bool, int]:
    """Read nothing: that it is there says all."""
    del words
    return True, 0


def listen(words: Sequence[str], known: Mapping[str, Reads], short: Mapping[str, str]) -> Heard:
    """Read a line of words: the options in `known`, the `short` ones, and the text; from `--` on all is text."""
    end = list(words).index("--") if "--" in words else len(words)
    mine, given = list(words[:end]), list(words[end + 1 :])
    options: dict[str, Any] = {}
    complaints: list[str] = []
    text: list[str] = []
    at = 0
    while at < len(mine) and mine[at].startswith("-") and len(mine[at]) > 1:
        try:
            at += _take(mine[at:], known, short, options)
        except ValueError as error:
            complaints.append(f"taken as text: {mine[at]}" + (f" (it needs {error})" if str(error) else ""))
            text.append(mine[at])
            at += 1
    rest = mine[at:]
    begins = next((at for at in range(1, len(rest)) if _all(rest[at:], known, short, options)), len(rest))
    complaints += [f"taken as text: {word}" for word in rest[:begins] if _looks_like_one(word)]
    return Heard(options, (*text, *rest[:begins], *given), tuple(complaints))


def _take(words: Sequence[str], known: Mapping[str, Reads], short: Mapping[str, str], options: dict[str, Any]) -> int:
    """Take one option into `options`; gives how many words that were. A ValueError where it is none."""
    name, equals, value = words[0].partition("=")
    name = short.get(name, name)
    if name not in known:
        raise ValueError
    after = [value] if equals else words[1:]
    options[name], count = known[name](after)
    if equals and not count:
        del options[name]
        raise ValueError("no value")
    return 1 if equals else 1 + count


def _all(words: Sequence[str], known: Mapping[str, Reads], short: Mapping[str, str], options: dict[str, Any]) -> bool:
    """Take words into `options` if they are options from the first to the last; else leave these as they are."""
    found: dict[str, Any] = {}
    while words:
        try:
            words = words[_take(words, known, short, found) :]
        except ValueError:
            return False
    options |= found
    return True


def _looks_like_one(word: str) -> bool:
    return word[:1] == "-" and word.lstrip("-")[:1].isalpha() and " " not in word


def pick(words: Sequence[str], known: Mapping[str, Reads], late: Mapping[str, Reads]) -> Heard:
    """Read a line of words whose text others will read: options from wherever they stand, and the text without them.

    `known` are the options, long and short, `late` those that count behind a word of the text; a misspelt long one is
    the nearest. What looks like an option and is none, or has no value that can be read, is left out of the text, and
    named. From `--` on all is text.
    """
    end = list(words).index("--") if "--" in words else len(words)
    mine, text, complaints = list(words[:end]), list[str](), list[str]()
    options: dict[str, Any] = {}
    while mine:
        word = mine.pop(0)
        if not _looks_like_one(word):
            text.append(word)
            continue
        try:
            name, value, count = _picked(word, mine, late if text else known, complaints)
        except ValueError as error:
            count = error.count if isinstance(error, NoValueError) else 0
            left = " ".join([word, *mine[:count]])
            needs = f" (it needs {error})" if str(error) else ""
            complaints.append(f"not understood, and left out of the text: {left}{needs}")
            del mine[:count]
            continue
        options[name] = value
        del mine[:count]
    return Heard(options, (*text, *words[end + 1 :]), tuple(complaints))


def _picked(word: str, after: Sequence[str], known: Mapping[str, Reads], complaints: list[str]) -> tuple[str, Any, int]:
    """Give an option's name, its value, and how many of the words after it that took; a ValueError where it is none."""
    name, equals, value = word.partition("=")
    if not name.startswith("--") and name not in known and name[:2] in known:  # -eproduction
        name, equals, value = name[:2], "=", word[2:]
    if name not in known:
        near = _nearest(name, known)
        complaints.append(f"{name} was taken as {near}")
        name = near
    read, count = known[name]([value] if equals else after)
    if equals and not count:
        raise ValueError("no value")
    return name, read, 0 if equals else count


def _nearest(name: str, known: Collection[str]) -> str:
    """Give the long option that was meant: the only one that begins so, or one that is spelt nearly so."""
    from difflib import get_close_matches  # nobody else waits for its import

    longs = [option for option in known if option.startswith("--")] if name.startswith("--") else []
    begun = [option for option in longs if option.startswith(name)]
    near = begun if len(begun) == 1 else get_close_matches(name, longs, n=1, cutoff=0.75)
    if not near:
        raise ValueError
    return near[0]

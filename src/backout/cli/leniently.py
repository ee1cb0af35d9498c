"""Command lines that are taken as they come: what is no option is text, and is named afterwards."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence

LENIENT: Mapping[str, Mapping[str, str]] = {"panic": {"--severity": "severity"}}
"""The verbs whose words are taken as they come, with their own options that take a value, and what each is called.

Each is a function in the module of its name in this room.
"""
_FLAGS = {"--json": "json", "--quiet": "quiet", "-q": "quiet", "--no-color": "no_color"}
_VALUES = {"--config": "config", "-e": "environment", "--environment": "environment"}


def verb_of(words: Sequence[str], verbs: Collection[str]) -> str | None:
    """Give the verb of a command line, where it is one of these: the first word that is neither option nor value."""
    before = ""
    for word in words:
        if word in verbs and before not in _VALUES:
            return word
        if not word.startswith("-") and before not in _VALUES:
            return None
        before = word
    return None


def read(words: Sequence[str], verb: str) -> Namespace:
    """Read a command line of such a verb; it is never wrong.

    What is no option is in `words`, in its order, and `odd` names what looks like one and is none. What follows `--` is
    text.
    """
    known = {**_VALUES, **LENIENT[verb]}
    options = Namespace(verb=verb, json=False, quiet=False, no_color=False, config=None, environment=None)
    options.words, options.odd = list[str](), list[str]()
    for name in LENIENT[verb].values():
        setattr(options, name, None)
    left, is_text = list(words), False
    left.remove(verb)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if is_text or not word.startswith("-") or word == "-":
            options.words.append(word)
        elif word == "--":
            is_text = True
        elif word in _FLAGS:
            setattr(options, _FLAGS[word], True)
        elif name in known and equals:
            setattr(options, known[name], value)
        elif word in known and left:
            setattr(options, known[word], left.pop(0))
        elif word.startswith("-e") and not word.startswith("--"):
            options.environment = word[2:] or options.environment
        else:
            options.words.append(word)
            options.odd.append(word)
    return options

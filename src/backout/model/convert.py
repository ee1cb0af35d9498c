"""Converters from the values of a file. Each takes one kind of value, and answers any other with what it wanted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from backout.errors import UsageError
from backout.model import fact
from backout.model.effect import KINDS
from backout.model.rollout import is_share
from backout.model.selector import Selector, parse_selector

Item = TypeVar("Item")

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh])")
_DESTINATION = re.compile(r"(?:[A-Za-z0-9*_.-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")
_LAST_PORT = 65535
_LAST_EXIT_CODE = 255
_MOST_HOSTS = 999_999


class WantedError(ValueError):
    """A value is not what was wanted; `wanted` completes "must be …", `value` is what was there instead."""

    def __init__(self, wanted: str, value: object) -> None:
        super().__init__(wanted)
        self.wanted, self.value = wanted, value


def text(value: object) -> str:
    """Take a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise WantedError("a text that is not empty", value)
    return value


def list_of(convert: Callable[[object], Item], *, least: int = 0) -> Callable[[object], tuple[Item, ...]]:
    """Take a list of at least so many items, each as `convert` takes it."""

    def items(value: object) -> tuple[Item, ...]:
        if not isinstance(value, list) or len(value) < least:
            raise WantedError("a list that is not empty" if least else "a list", value)
        try:
            return tuple(convert(item) for item in value)
        except WantedError as error:
            raise WantedError(f"a list in which each item is {error.wanted}", error.value) from None

    return items


def one_of(*words: str) -> Callable[[object], str]:
    """Take one of the words."""

    def word(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise WantedError(" or ".join(f'"{known}"' for known in words), value)
        return value

    return word


def duration_s(value: object) -> float:
    """Take a duration such as "30s", "5m" or "2h"; give seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise WantedError('a duration such as "30s", "5m" or "2h"', value)
    return float(match[1]) * _SECONDS[match[2]]


def truth(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise WantedError("true or false", value)
    return value


def exit_code(value: object) -> int:
    """Take an exit code, 0 to 255."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LAST_EXIT_CODE:
        raise WantedError("a number from 0 to 255", value)
    return value


def count(value: object) -> int:
    """Take a number of hosts, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_HOSTS:
        raise WantedError("a number of hosts, 0 or more", value)
    return value


def wave(value: object) -> str:
    """Take the size of waves: a number of hosts from 1 on, or a share of them such as "25%"."""
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not is_share(str(value)):
        raise WantedError('a number of hosts from 1 on, or a share such as "25%"', value)
    return str(value)


def absolute_path(value: object) -> str:
    """Take an absolute path."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise WantedError('an absolute path such as "/etc"', value)
    return value


def url(value: object) -> str:
    """Take an http or https address with a host."""
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, a bracket that is not closed
            usable = False
        if usable:
            return value
    raise WantedError('an address such as "http://127.0.0.1:8000/health"', value)


def destination(value: object) -> str:
    """Take a host and port that a rehearsal may reach."""
    match = _DESTINATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[1]) <= _LAST_PORT:
        raise WantedError('HOST:PORT such as "git.example.com:443"', value)
    return match[0]


def selector(value: object) -> Selector:
    """Take a selector of effects, KIND:GLOB with a known kind."""
    return _selector(value, KINDS)


def fact_selector(value: object) -> Selector:
    """Take a selector of facts: there are more kinds of them."""
    return _selector(value, fact.KINDS)


def _selector(value: object, kinds: tuple[str, ...]) -> Selector:
    try:
        return parse_selector(text(value), kinds)
    except UsageError:
        raise WantedError(
            f'KIND:GLOB such as "file:/etc/nginx/*", KIND one of {", ".join(kinds)} or *', value
        ) from None

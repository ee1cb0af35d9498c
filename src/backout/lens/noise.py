"""Noise: named rules, in one data file, that fold away paths nobody asks about. Counted, never hidden.

Over every rule stand gates that no rule can open. A path is never noise when its type, mode, owner or extended
attributes changed, or when a program with more rights than its caller's (setuid, setgid, capabilities) appears.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from backout.model.effect import Noise, RawEffect, operation
from backout.model.state import State

PROMOTE, YIELD, APPEND, NEVER = "promote", "yield", "append", "never"
"""What the apply does with a noise path: switch it like any other; do so unless the host has a newer one, which then
stays; append our suffix; leave the live one (traps C6)."""

_NOWHERE = "(?!)"
_RAISES_RIGHTS = 0o6000
_CAPABILITIES = b"security.capability"
_HOMES = r"(?:/root|/home/[^/]+)"


class Rule(NamedTuple):
    """One rule of noise.json: its name, why such a path is noise, and what must hold of it.

    `same` asks for a state that is equal after ("all": with its time; "timeless": without it); `grows` for a content
    that is not shorter than before.
    """

    name: str
    why: str
    paths: tuple[str, ...]
    promotion: str
    types: tuple[str, ...] = ("file",)
    ops: tuple[str, ...] = ("added", "edited", "removed")
    same: str | None = None
    grows: bool = False

    def fits(self, before: str | None, after: str | None) -> bool:
        """Tell whether it speaks of such a difference at all: from one type of path to another (None: not there)."""
        there = [kind for kind in (before, after) if kind is not None]
        if self.same is not None and len(there) == 1:
            return False
        return operation(before, after) in self.ops and all(kind in self.types for kind in there)

    def holds(self, before: State | None, after: State | None) -> bool:
        """Tell whether the states of a path that it fits are as it asks."""
        if self.same is not None:
            return before == after if self.same == "all" else _timeless(before) == _timeless(after)
        return not (self.grows and before and after and after.size < before.size)


@functools.lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Give the rules in the order in which they are tried."""
    import pkgutil  # slow to import, and over ssh most who come here only apply

    data = pkgutil.get_data(__package__, "noise.json") or b"[]"  # also where this module lies inside a zip file
    return tuple(_rule(document) for document in json.loads(data))


def rule_for(path: bytes, before: State | None, after: State | None) -> Rule | None:
    """Name the first rule that folds the path away; None when it stays an effect."""
    shelf = _shelf(before and before.type, after and after.type)
    if shelf.anywhere.match(path) is None or _is_gated(before, after):
        return None
    held = (rule for rule, place in shelf.rules if place.match(path) and rule.holds(before, after))
    return next(held, None)


def fold_noise(raw: Mapping[bytes, RawEffect]) -> tuple[list[Noise], list[RawEffect]]:
    """Part raw effects into noise and the rest, both sorted by path; every path is in exactly one of them (law 2)."""
    noise, rest = [], []
    for path in sorted(raw):
        effect = raw[path]
        rule = rule_for(path, effect.before, effect.after)
        if rule is None:
            rest.append(effect)
        else:
            noise.append(Noise(rule.name, path, effect.op(), rule.promotion))
    return noise, rest


class _Shelf(NamedTuple):
    """Rules, each with the one pattern that its globs make; and one of them all, which most paths fail at once."""

    rules: tuple[tuple[Rule, re.Pattern[bytes]], ...]
    anywhere: re.Pattern[bytes]


@functools.cache
def _shelf(before: str | None, after: str | None) -> _Shelf:
    """Give the rules that speak of such a difference, in their order."""
    fitting = [rule for rule in rules() if rule.fits(before, after)]
    patterns = ["|".join(map(_pattern, rule.paths)) for rule in fitting]
    return _Shelf(tuple(zip(fitting, map(_compile, patterns))), _compile("|".join(patterns) or _NOWHERE))


def _rule(document: dict[str, Any]) -> Rule:
    fields: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in document.items()}
    return Rule(**fields)


def _compile(pattern: str) -> re.Pattern[bytes]:
    return re.compile(f"(?:{pattern})\\Z".encode(), re.DOTALL)


def _pattern(glob: str) -> str:
    """Translate a glob: `*` is in a name, `**` crosses folders, a last `/**` is a folder and all in it, `~` a home."""
    homed = glob[0] == "~"
    text = re.escape(glob[1:] if homed else glob).replace(r"\*\*", "\0").replace(r"\*", "[^/]*")
    if text.endswith("/\0"):
        text = text[:-2] + "(?:/.*)?"
    text = text.replace("/\0/", "/(?:.*/)?")
    return (_HOMES if homed else "") + text


def _is_gated(before: State | None, after: State | None) -> bool:
    if before is not None and after is not None:
        return _metadata(before) != _metadata(after)
    if after is None or after.type != "file":
        return False
    return bool(after.mode & _RAISES_RIGHTS) or any(name == _CAPABILITIES for name, _ in after.xattrs)


def _metadata(state: State) -> State:
    return state.timeless()._replace(size=0, sha256=None, target=None)


def _timeless(state: State | None) -> State | None:
    return None if state is None else state.timeless()

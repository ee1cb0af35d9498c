"""Noise: named rules, in one data file, that fold away paths nobody asks about. Counted, never hidden.

Over every rule stand gates that no rule can open. A path is never noise when its type, mode, owner or extended
attributes changed, or when a program with more rights than its caller's (setuid, setgid, capabilities) appears.
"""

from __future__ import annotations

import functools
import json
import pkgutil
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from backout.model.effect import Noise, RawEffect, operation
from backout.model.state import State

PROMOTE, APPEND, NEVER = "promote", "append", "never"
"""What the apply does with a noise path: switch it like any other, append our suffix, leave the live one (traps C6)."""

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

    def holds(self, before: State | None, after: State | None) -> bool:
        """Tell whether all that the rule asks for, besides the path, is so."""
        there = [state for state in (before, after) if state is not None]
        if operation(before, after) not in self.ops or any(state.type not in self.types for state in there):
            return False
        if self.same is not None:
            return before == after if self.same == "all" else _timeless(before) == _timeless(after)
        return not (self.grows and before and after and after.size < before.size)


def rules() -> tuple[Rule, ...]:
    """Give the rules in the order in which they are tried."""
    return _Book.read().rules


def rule_for(path: bytes, before: State | None, after: State | None) -> Rule | None:
    """Name the first rule that folds the path away; None when it stays an effect."""
    if _is_gated(before, after):
        return None
    book = zip(*_Book.read())
    return next((rule for rule, place in book if rule.holds(before, after) and place.match(path)), None)


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


class _Book(NamedTuple):
    """The rules, each with the one pattern that its globs make."""

    rules: tuple[Rule, ...]
    places: tuple[re.Pattern[bytes], ...]

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def read() -> _Book:
        """Read the data file that lies beside this module, also where that is inside a zip file."""
        data = pkgutil.get_data(__package__, "noise.json") or b"[]"
        found = tuple(_rule(document) for document in json.loads(data))
        return _Book(found, tuple(_compile("|".join(map(_pattern, rule.paths))) for rule in found))


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

"""The rules that a guard may have: one module a rule, found by being in this folder, named as the rule is.

A rule is a module with

`KEYS`
    The keys that it takes in backout.toml beside those of every guard, each with how it is read.
`NEEDS`
    What it has to know beyond effects, command and environment: names out of `model.guard.NEEDS`.
`judge(guard, known) -> list[Reason]`
    Why it refuses; nothing where it has nothing to say. It is asked only where all that it needs is known.
`paths(guard, known) -> set[str]`
    Where it needs `texts`: the files that it reads, as far as those that are known tell; it is asked again with these.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Protocol, cast

from backout.model.guard import NEEDS, Guard, Key, Known
from backout.model.redact import redact
from backout.model.verdict import Reason


class Rule(Protocol):
    """What a module in this folder has."""

    KEYS: Mapping[str, Key]
    NEEDS: tuple[str, ...]

    def judge(self, guard: Guard, known: Known) -> list[Reason]:
        """Say why the change is refused."""

    def paths(self, guard: Guard, known: Known) -> set[str]:
        """Name the files that are read."""


def names() -> tuple[str, ...]:
    """Name every rule."""
    return tuple(sorted(info.name.replace("_", "-") for info in pkgutil.iter_modules(__path__)))


def rule(name: str) -> Rule:
    """Import a rule by its name."""
    return cast("Rule", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def lacking(guard: Guard, known: Known) -> list[str]:
    """Name what a guard needs and is not known: it cannot be judged then."""
    return [need for need in rule(guard.rule).NEEDS if getattr(known, need) is None]


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Give the reasons for which a guard refuses; what cannot be judged is refused (fail closed)."""
    missing = lacking(guard, known)
    reasons = [_unjudged(need, known) for need in missing] if missing else rule(guard.rule).judge(guard, known)
    return [_told(guard, reason) for reason in reasons]


def _unjudged(need: str, known: Known) -> Reason:
    why = known.lacks.get(need, Reason(""))
    return why._replace(what=f"it cannot be judged, because it is not known {NEEDS[need]}. {why.what}".rstrip())


def _told(guard: Guard, reason: Reason) -> Reason:
    """Say which guard it is, why it is there, and whether it may be passed."""
    what = f"Guard {guard.name}: {reason.what} It guards because of: {guard.why}"
    way = f"Or, with a reason of yours: --override {guard.name} --why TEXT" if guard.override else ""
    return Reason(redact(what), reason.state, redact(" ".join(filter(None, (reason.next, way)))))

"""Guards: rules that may refuse a change, from its effects and from what is on record. Pure (law 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from backout.model.digest import canonical
from backout.model.effect import Effect
from backout.model.selector import Selector
from backout.model.verdict import Reason

STAGED_FIRST = "staged-first"
RULES = (STAGED_FIRST,)
"""Every rule that a guard may have."""
_NAMED = 3


class Guard(NamedTuple):
    """One guard, and why it is there."""

    rule: str
    why: str


class Sorted(NamedTuple):
    """Effects held against what another environment has: together they are all that were given.

    `remainder` is what that one lacks; `excepted` holds each effect that is meant to differ, with the place of the
    first selector that says so.
    """

    covered: list[Effect]
    remainder: list[Effect]
    excepted: list[tuple[int, Effect]]


def key(effect: Effect) -> bytes:
    """Name what two environments must have alike: kind, subject and what is there after."""
    return hashlib.sha256(canonical([effect.kind, effect.subject, effect.after])).digest()


def exception(effect: Effect, differs: Sequence[Selector]) -> int | None:
    """Give the place of the first selector that means this effect to differ."""
    return next((at for at, selector in enumerate(differs) if selector.matches(effect)), None)


def sort(effects: Iterable[Effect], differs: Sequence[Selector], missing: Collection[bytes]) -> Sorted:
    """Sort effects by whether they are meant to differ, and whether their keys are among those that are missing."""
    found = Sorted([], [], [])
    for effect in effects:
        at = exception(effect, differs)
        if at is not None:
            found.excepted.append((at, effect))
        elif key(effect) in missing:
            found.remainder.append(effect)
        else:
            found.covered.append(effect)
    return found


def staged_first(guard: Guard, found: Sorted, staging: str, known: str, next: str) -> list[Reason]:
    """Refuse while anything remains. `known` says how old that knowledge is, where it is; `next` is the way on."""
    left = found.remainder
    if not left:
        return []
    named = ", ".join(f"{e.kind}:{e.subject}" for e in left[:_NAMED]) + (" …" if len(left) > _NAMED else "")
    count = len(found.covered) + len(left)
    number = f"{len(left)} of {count} effect{'s' * (count > 1)}"
    return [_reason(guard, f"{staging} lacks {number}, or was unhealthy with them: {named}.", known, next)]


def unjudged(guard: Guard, staging: str, known: str) -> Reason:
    """Refuse because nothing is known of the other environment: what cannot be judged is not let through."""
    return _reason(guard, f"nothing is known of {staging}.", known, f"backout log -e {staging}")


def _reason(guard: Guard, what: str, known: str, next: str) -> Reason:
    """Say which guard it is, and why it is there."""
    told = filter(None, (f"Guard {guard.rule}: {what}", known, f"It guards because of: {guard.why}"))
    return Reason(" ".join(told), next=next)

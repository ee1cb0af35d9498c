"""A change's effects held against what the environment has that this one should be like. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from backout.model.digest import canonical
from backout.model.effect import Effect
from backout.model.selector import Selector


class Sorted(NamedTuple):
    """Effects held against what another environment has: together they are all that were given.

    `remainder` is what that one lacks; `excepted` holds each effect that is meant to differ, with the place of the
    first selector that says so.
    """

    covered: list[Effect]
    remainder: list[Effect]
    excepted: list[tuple[int, Effect]]


class Staging(NamedTuple):
    """What is known of the environment `name` about some effects; `next` is the way on for what remains.

    `limits` say how old that knowledge is, where it is. `is_known` is False where nothing at all is known of it.
    """

    name: str
    found: Sorted
    limits: str = ""
    next: str = ""
    is_known: bool = True


NOWHERE = Staging("", Sorted([], [], []))
"""Of an environment that should be like no other."""


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

"""Refuses effects that no `--expect` covers; where nothing was expected, all of them."""

from __future__ import annotations

from collections.abc import Mapping

from backout.model.guard import Guard, Key, Known, named, number
from backout.model.verdict import Reason

KEYS: Mapping[str, Key] = {}
NEEDS = ("document",)


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse whatever was not asked for."""
    del guard
    left = [effect for effect in known.effects if not effect.expected]
    if not left:
        return []
    what = f"no --expect covers {len(left)} of {number(len(known.effects))}: {named(left)}."
    return [Reason(what, next="Expect them with --expect KIND:GLOB, or change the command.")]

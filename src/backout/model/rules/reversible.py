"""Refuses effects that cannot be taken back, and `--after`, which nothing takes back."""

from __future__ import annotations

from collections.abc import Mapping

from backout.model.guard import Guard, Key, Known, named, number
from backout.model.verdict import Reason

KEYS: Mapping[str, Key] = {}
NEEDS = ("document",)


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse whatever `backout back` would not undo."""
    del guard
    stays = [effect for effect in known.effects if not effect.reversible]
    reasons = []
    if stays:
        what = f"{number(len(stays))} cannot be taken back: {named(stays)}."
        reasons.append(Reason(what, next="Leave out what makes them, or change the command."))
    if known.after is not None:
        what = "a command runs live after the apply, and nothing takes it back."
        reasons.append(Reason(what, next="Leave out --after, or rehearse the command itself."))
    return reasons

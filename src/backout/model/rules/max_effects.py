"""Refuses more effects of a kind than `most` allows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from backout.model.convert import WantedError
from backout.model.effect import KINDS
from backout.model.guard import Guard, Key, Known, named, number
from backout.model.verdict import Reason

ALL = "*"
_MOST = 999_999


def _numbers(value: object) -> dict[str, int]:
    """Take a table of kinds and numbers."""
    kinds = ", ".join(KINDS)
    if not isinstance(value, dict) or not value:
        raise WantedError('a table such as { python-package = 5, "*" = 100 }', value)
    for kind, most in value.items():
        if kind not in (ALL, *KINDS):
            raise WantedError(f"a table in which each key is one of {kinds} or *", kind)
        if not isinstance(most, int) or isinstance(most, bool) or not 0 <= most <= _MOST:
            raise WantedError("a table in which each value is a number, 0 or more", most)
    return dict(value)


KEYS = {"most": Key(_numbers, "table, needed: kinds and numbers; `*` is all kinds together", required=True)}
NEEDS: tuple[str, ...] = ()


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse what is more than anybody looks through."""
    most: dict[str, Any] = guard.settings["most"]
    counts = Counter(effect.kind for effect in known.effects)
    counts[ALL] = len(known.effects)
    return [
        Reason(
            f"{number(counts[kind], 'effect' if kind == ALL else kind + ' effect')}, where {most[kind]} are allowed: "
            f"{named([effect for effect in known.effects if kind in (ALL, effect.kind)])}.",
            next="Make the change in smaller parts, or ask less of the command.",
        )
        for kind in most
        if counts[kind] > most[kind]
    ]

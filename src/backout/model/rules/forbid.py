"""Refuses effects that match a selector."""

from __future__ import annotations

from backout.model import convert
from backout.model.guard import Guard, Key, Known, named, number
from backout.model.verdict import Reason

KEYS = {"what": Key(convert.list_of(convert.selector, least=1), "list of selectors, needed", required=True)}
NEEDS: tuple[str, ...] = ()


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse what nobody is to touch."""
    what = guard.settings["what"]
    found = [effect for effect in known.effects if any(selector.matches(effect) for selector in what)]
    if not found:
        return []
    told = f"{number(len(found))} on what is forbidden: {named(found)}."
    return [Reason(told, next="Leave it out of the command.")]

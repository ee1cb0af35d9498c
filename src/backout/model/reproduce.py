"""What is not reproducible: effects that came out differently when a command was rehearsed a second time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backout.model.effect import Effect

_NAMED = 5


def mark_reproducible(effects: Sequence[Effect], again: Iterable[Effect]) -> list[Effect]:
    """Say of each effect whether a second rehearsal gave the very same one: words and bits alike."""
    known = {_name(effect): _outcome(effect) for effect in again}
    return [effect._replace(reproducible=known.get(_name(effect)) == _outcome(effect)) for effect in effects]


def limits_of_two(effects: Sequence[Effect], again: Sequence[Effect]) -> list[str]:
    """Name in sentences what differs between two rehearsals; `effects` are marked. None where nothing does."""
    there = {_name(effect) for effect in effects}
    differing = [f"{e.kind}:{e.subject}" for e in effects if e.reproducible is False]
    only_again = [f"{e.kind}:{e.subject}" for e in again if _name(e) not in there]
    sentences = [
        ("Not reproducible: a second rehearsal gave something else for", differing),
        ("Not reproducible: only the second rehearsal changed", only_again),
    ]
    return [f"{text} {_first(names)}." for text, names in sentences if names]


def _name(effect: Effect) -> tuple[str, str]:
    return effect.kind, effect.subject


def _outcome(effect: Effect) -> tuple[object, ...]:
    return effect.op, effect.before, effect.after, effect.content


def _first(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")

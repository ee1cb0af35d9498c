"""Lenses turn raw effects into meaning: one file a lens, found by being in this folder.

A lens is a module with `RANK` (its place in the one fixed order) and two functions:

`claim(raw, view) -> Claims`
    The effects that the lens sees in the raw effects, and the paths that these explain to the last byte.
    A path is explained only when nothing of its difference is left over; a file shared by many effects (dpkg's status,
    passwd) is named in the `paths` of each and explained only when the records together are the whole difference.
`project(path, before, after, subjects) -> Optional[bytes]`
    The content of a shared file with only the effects on `subjects` in it; None when the path is not this lens's.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from backout.lens.noise import fold_noise
from backout.lens.textdiff import diffs
from backout.lens.view import Claims, View
from backout.model.effect import Effect, Noise, RawEffect, file_effect, order

__all__ = ["Claims", "Meaning", "View", "explain", "lenses"]


class Meaning(NamedTuple):
    """All effects and all noise; together they are exactly the raw paths (law 2)."""

    effects: tuple[Effect, ...]
    noise: tuple[Noise, ...]


def lenses() -> list[Any]:
    """Import every lens in this folder, in the order of its rank."""
    found = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return sorted((module for module in found if hasattr(module, "RANK")), key=lambda module: module.RANK)


def explain(raw: Mapping[bytes, RawEffect], view: View) -> Meaning:
    """Let each lens claim in turn, fold the noise of what is left, and keep the rest as file effects.

    A path that a lens explains is never noise; a path that is neither stays a `file` effect, with a diff where it is
    text.
    """
    if not raw and not view.requests:
        return Meaning((), ())
    left: dict[bytes, RawEffect] = dict(raw)
    effects: list[Effect] = []
    for lens in lenses():
        claims = lens.claim(left, view)
        effects.extend(claims.effects)
        told = {path for effect in claims.effects for path in effect.paths}
        for path in claims.explained & told:  # a lens that names no effect explains nothing
            left.pop(path, None)
    noise, rest = fold_noise(left)
    shown = diffs(rest, view)
    effects.extend(file_effect(effect, shown.get(effect.path)) for effect in rest)
    return Meaning(tuple(order(effects)), tuple(noise))

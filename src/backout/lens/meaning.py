"""What raw effects mean: each lens in turn, then noise; what is left is files."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backout import lens as folder
from backout.lens.noise import fold_noise
from backout.lens.textdiff import diffs
from backout.lens.view import View
from backout.model.effect import KINDS, Effect, Noise, RawEffect, file_effect, order


class Meaning(NamedTuple):
    """All effects and all noise; together they are exactly the raw paths (law 2)."""

    effects: tuple[Effect, ...]
    noise: tuple[Noise, ...]


def lenses() -> list[Any]:
    """Import every lens in this folder, in the order of its rank."""
    names = [f"{folder.__name__}.{info.name}" for info in pkgutil.iter_modules(folder.__path__)]
    found = [importlib.import_module(name) for name in names]
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


def part(path: bytes, before: bytes, after: bytes, effects: Sequence[Effect], chosen: Sequence[Effect]) -> bytes | None:
    """Give the content of a file that effects share with only the chosen ones in it; None where nobody can part it.

    What no lens explains of it is one `file` effect: where that is chosen, all others are taken out, not put in.
    """
    kinds = {effect.kind for effect in effects} - {"file"}
    if len(kinds) != 1 or not kinds <= set(KINDS):
        return None
    lens = importlib.import_module(f"{folder.__name__}.{kinds.pop().replace('-', '_')}")
    there = {effect.subject for effect in chosen}
    if any(effect.kind == "file" for effect in chosen):
        before, after, there = after, before, {effect.subject for effect in effects} - there
    content: bytes | None = lens.project(path, before, after, there)
    return content

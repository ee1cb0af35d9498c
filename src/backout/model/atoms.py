"""Atoms: what of a change can be there or not, each by itself; and what paths are like with some of them there. Pure.

An effect is an atom, with all its paths. Effects that share a file are several where it can be parted, else one. The
folders that come or go are with what lies in them: such a one is there as soon as anything in it is, and gone when all
that is told of in it is. All noise is one atom, the last; in a folder that is not there, there is none. Together the
atoms are all raw paths (law 2).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model.effect import Effect, RawEffect
from backout.model.state import State

NOISE = "noise"
BEFORE, AFTER, PARTED = "before", "after", "parted"
"""What a path is like with some atoms there: as before the change, as after it, or in between: a shared file."""


class Atom(NamedTuple):
    """One atom, in the words of its first effect; `effects` are its places in the document, `paths` all its paths."""

    kind: str
    subject: str
    before: Any
    after: Any
    effects: tuple[int, ...]
    paths: tuple[bytes, ...]

    def document(self) -> dict[str, Any]:
        """Give the JSON form of the wire: of the paths, how many they are."""
        return {**self._asdict(), "effects": list(self.effects), "paths": len(self.paths)}


def cut(
    effects: Sequence[Effect],
    noise: Iterable[bytes],
    raw: Mapping[bytes, RawEffect],
    parted: Collection[bytes] = (),
    tied: Iterable[tuple[bytes, bytes]] = (),
) -> tuple[Atom, ...]:
    """Cut a change into atoms, in the order of its effects.

    `parted` are the shared files that can be parted; of `tied` paths neither can be there without the other.
    """
    owners: dict[bytes, list[int]] = {}
    for number, effect in enumerate(effects):
        for path in effect.paths:
            owners.setdefault(path, []).append(number)
    leads = _leads(effects, owners, raw, parted, tied)
    folders = {number: path for number, effect in enumerate(effects) for path in _lone_folder(effect, raw)}
    groups: dict[int, set[bytes]] = {}
    for number, effect in enumerate(effects):
        if number not in folders:
            groups.setdefault(leads[number], set()).update(_with_folders(effect.paths, raw))
    covered = set().union(*groups.values())
    for number, path in sorted(folders.items(), key=lambda item: item[1], reverse=True):  # the deepest first
        if leads[number] in groups or path not in covered:
            groups.setdefault(leads[number], set()).update(_with_folders((path,), raw))
            covered |= groups[leads[number]]
    members: dict[int, set[int]] = {lead: set() for lead in groups}
    for number in range(len(effects)):
        if leads[number] in groups:
            members[leads[number]].add(number)
    told = {path: number for number, path in folders.items()}
    for lead, paths in groups.items():
        members[lead].update(told[path] for path in paths & told.keys())
    found = [_atom(effects, lead, members[lead], groups[lead]) for lead in sorted(groups)]
    left = {path for path in raw if path not in owners}.union(noise)
    return (*found, Atom(NOISE, "", None, None, (), tuple(sorted(left)))) if left else tuple(found)


def _atom(effects: Sequence[Effect], lead: int, members: Collection[int], paths: Collection[bytes]) -> Atom:
    first = effects[lead]
    rest = sorted(set(members) - {lead})
    return Atom(first.kind, first.subject, first.before, first.after, (lead, *rest), tuple(sorted(paths)))


def _leads(
    effects: Sequence[Effect],
    owners: Mapping[bytes, Sequence[int]],
    raw: Mapping[bytes, RawEffect],
    parted: Collection[bytes],
    tied: Iterable[tuple[bytes, bytes]],
) -> list[int]:
    """Give for every effect the first of those that are one atom with it."""
    leads = list(range(len(effects)))

    def lead(number: int) -> int:
        while leads[number] != number:
            number = leads[number]
        return number

    def join(numbers: Iterable[int]) -> None:
        found = {lead(number) for number in numbers}
        for number in found:
            leads[number] = min(found)

    for path, numbers in owners.items():
        if len(numbers) > 1 and path not in parted and not is_folder(raw.get(path)):
            join(numbers)
    for one, other in tied:
        join([*owners.get(one, ()), *owners.get(other, ())])
    for path, inside in _replaced_folders(raw):
        join(number for below in (path, *inside) for number in owners.get(below, ()))
    return [lead(number) for number in leads]


def _replaced_folders(raw: Mapping[bytes, RawEffect]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Give the folders in whose place something else is after, each with what was in it: neither goes alone."""
    replaced = [path for path, effect in raw.items() if _is(effect.before) and effect.after and not _is(effect.after)]
    names = sorted(raw) if replaced else []
    for path in replaced:
        yield path, names[bisect_left(names, path + b"/") : bisect_left(names, path + b"0")]  # "0" follows "/"


def _is(state: State | None) -> bool:
    return state is not None and state.type == "dir"


def is_folder(effect: RawEffect | None) -> bool:
    """Tell whether a path is a folder, or nothing, on both sides."""
    return effect is not None and all(side is None or _is(side) for side in (effect.before, effect.after))


def _comes_or_goes(effect: RawEffect | None) -> bool:
    """Tell a folder that is new, or gone with nothing in its place."""
    return effect is not None and (_goes(effect) or (_is(effect.after) and not _is(effect.before)))


def _goes(effect: RawEffect) -> bool:
    return _is(effect.before) and effect.after is None


def _lone_folder(effect: Effect, raw: Mapping[bytes, RawEffect]) -> Iterator[bytes]:
    """Give the path of an effect that only tells of a folder which comes or goes."""
    if effect.kind == "file" and len(effect.paths) == 1 and _comes_or_goes(raw.get(effect.paths[0])):
        yield effect.paths[0]


def _with_folders(paths: Iterable[bytes], raw: Mapping[bytes, RawEffect]) -> set[bytes]:
    """Give paths, and the folders above them that come or go."""
    found = set()
    for path in paths:
        found.add(path)
        folder = path.rpartition(b"/")[0]
        while folder not in found and _comes_or_goes(raw.get(folder)):
            found.add(folder)
            folder = folder.rpartition(b"/")[0]
    return found


class Composing:
    """Tells what paths are like with some atoms there; made once for a change, and asked often."""

    def __init__(self, atoms: Sequence[Atom], raw: Mapping[bytes, RawEffect]) -> None:
        self._raw = raw
        holders: dict[bytes, list[int]] = {}
        for number, atom in enumerate(atoms):
            for path in atom.paths:
                holders.setdefault(path, []).append(number)
        noisy = len(atoms) - 1 if atoms and atoms[-1].kind == NOISE else -1
        rows = ((path, [number for number in held if number != noisy] or held) for path, held in holders.items())
        self._holders = [(path, path.rpartition(b"/")[0], tuple(held)) for path, held in sorted(rows)]

    def sides(self, chosen: Collection[int]) -> dict[bytes, str]:
        """Tell of every raw path what it is like with only the chosen atoms (by their places) there."""
        found: dict[bytes, str] = {}
        closed: set[bytes] = set()
        """What is no folder, so that nothing lies in it."""
        for path, folder, held in self._holders:  # a folder before what lies in it
            effect = self._raw[path]
            if folder in closed:
                side = AFTER if effect.after is None else BEFORE
            elif len(held) == 1:
                side = AFTER if held[0] in chosen else BEFORE
            else:
                side = _between(effect, sum(number in chosen for number in held), len(held))
            found[path] = side
            if not _is(effect.before if side == BEFORE else effect.after):
                closed.add(path)
        return found


def _between(effect: RawEffect, there: int, of: int) -> str:
    """Tell what a path of several atoms is like when so many of them are there."""
    if there in (0, of):
        return AFTER if there else BEFORE
    if _goes(effect):
        return BEFORE
    return AFTER if is_folder(effect) or _comes_or_goes(effect) else PARTED

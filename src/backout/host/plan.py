"""From raw effects to a plan: which step for each path, in which order. Pure: values in, values out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backout.errors import NotPossibleError
from backout.host.mounts import is_below
from backout.host.scan import Found
from backout.host.stage import Layer, layer_of
from backout.lens.noise import YIELD, rule_for
from backout.model import shape
from backout.model.effect import RawEffect
from backout.model.ledger import FORMAT
from backout.model.state import DOCUMENT, State, unpack
from backout.model.step import Meta, Service, Step, Switch, Write, pack_step, undo, unpack_step


class Times(NamedTuple):
    """A directory whose entries are switched, and its modification time before and after, in nanoseconds."""

    path: bytes
    before_ns: int
    after_ns: int


class Relink(NamedTuple):
    """A new name of a file whose inode stays: before the switch, `staged` becomes a hard link to the live `source`."""

    staged: bytes
    source: bytes


class Append(NamedTuple):
    """A log that the command wrote to: of `source`, what lies beyond the state before is appended.

    Never undone (traps C6).
    """

    path: bytes
    source: bytes
    before: State


class Plan(NamedTuple):
    """Everything that an apply does, and an undo takes back; `folders` are the stage folders that it needs."""

    steps: tuple[Step, ...] = ()
    times: tuple[Times, ...] = ()
    relinks: tuple[Relink, ...] = ()
    appends: tuple[Append, ...] = ()
    folders: tuple[bytes, ...] = ()


def plan(
    raw: Mapping[bytes, RawEffect],
    found: Mapping[bytes, Found],
    promotions: Mapping[bytes, str],
    layers: Sequence[Layer],
    services: Sequence[Service] = (),
) -> Plan:
    """Choose a step for every path that is to be promoted.

    `promotions` tells for noise paths what becomes of them (append, never); all others are promoted.
    """
    steps: list[Step] = []
    appends: list[Append] = []
    relinks = _relinks(raw, found)
    in_place = set(relinks.values())
    for path, effect in raw.items():
        where = found.get(path)
        if where is None or (where.root != path and not where.merged):
            continue  # it is switched with the directory above it
        promotion = "promote" if _changes_names(effect, where) else promotions.get(path, "promote")
        if promotion == "append" and effect.before is not None and effect.after is not None:
            appends.append(Append(path, where.upper or b"", effect.before))
        elif promotion != "never":
            if path in relinks:
                where = where._replace(upper_inode=found[relinks[path]].inode)
            step = _step(effect, where, _recording(path, layers), in_place)
            steps.extend([] if step is None else [step])
    steps.sort(key=_reading_order)
    return Plan(
        steps=(*steps, *services),
        times=_times(steps, found),
        relinks=tuple(Relink(found[path].upper or b"", source) for path, source in relinks.items()),
        appends=tuple(appends),
        folders=_folders([*(s.path for s in steps if not isinstance(s, Service)), *(a.path for a in appends)], layers),
    )


def leave_alone(value: Plan, raw: Mapping[bytes, RawEffect], moved: Collection[bytes]) -> tuple[Plan, frozenset[bytes]]:
    """Leave to the host what can be made again, where it did that itself: `moved` are the paths that moved on.

    The paths of one noise rule belong together, as an index and what it lists: the host keeps its own of all, or of
    none. Gives the plan without them, and which paths these are. A folder that is switched whole stays whole.
    """
    rules = {path: _yielding(effect) for path, effect in raw.items()} if moved else {}
    renewed = {rules[path] for path in moved if rules.get(path)}
    left = {path for path, rule in rules.items() if rule in renewed}
    for step in value.steps:
        if isinstance(step, Switch) and step.path in left and _is_folder(step):
            inside = {path for path in raw if is_below(path, step.path)}
            left -= set() if inside <= left else {step.path, *inside}
    if not left:
        return value, frozenset()
    steps = tuple(step for step in value.steps if isinstance(step, Service) or step.path not in left)
    times = tuple(times for times in value.times if times.path in _around(steps))
    return value._replace(steps=steps, times=times), frozenset(left)


def _yielding(effect: RawEffect) -> str | None:
    """Name the rule that lets the host keep its own version of a path."""
    rule = rule_for(*effect)
    return rule.name if rule is not None and rule.promotion == YIELD else None


def _is_folder(step: Switch) -> bool:
    return any(state is not None and state.type == "dir" for state in (step.expect, step.want))


def _changes_names(effect: RawEffect, where: Found) -> bool:
    """Tell a path that shows the same as before and is noise for it, but joins or leaves a file with several names."""
    other = where.split or (where.upper_links > 1 and not where.copied)
    return other and not where.merged and _equal(effect.before, effect.after)


def _folders(paths: Sequence[bytes], layers: Sequence[Layer]) -> tuple[bytes, ...]:
    """Name the stage folders that the plan needs: those of the layers that anything is done in."""
    used = {_recording(path, layers).folder for path in paths}
    return tuple(layer.folder for layer in layers if layer.folder in used)


def _step(effect: RawEffect, where: Found, layer: Layer, in_place: set[bytes]) -> Step | None:
    before, after = effect.before, effect.after
    if before is not None and after is not None:
        if before.timeless() == after.timeless() and (where.merged or where.copied):
            return None
        if where.merged:
            return Meta(effect.path, before, after)
        if where.copied and (where.links > 1 or effect.path in in_place):
            if before.type != "file":
                return Meta(effect.path, before, after)
            copies = layer.displaced + b"/" + flat(effect.path)
            return Write(effect.path, copies + b".before", where.upper or b"", before, after)
    staged = where.upper or layer.displaced + b"/" + flat(effect.path)
    return Switch(effect.path, staged, before, after, where.inode, where.upper_inode if after is not None else None)


def flat(path: bytes) -> bytes:
    """Name a path's place among the displaced: one flat folder, so that no directories need making."""
    return hashlib.sha256(path).hexdigest()[:40].encode()


def _recording(path: bytes, layers: Sequence[Layer]) -> Layer:
    """Give the layer that recorded a path; there is one, since the path was found in it."""
    layer = layer_of(path, layers)
    if layer is None:
        raise RuntimeError(f"no layer records {path!r}")
    return layer


def _relinks(raw: Mapping[bytes, RawEffect], found: Mapping[bytes, Found]) -> dict[bytes, bytes]:
    """Find new names of files that keep their live inode: {new path: path of the live inode}."""
    groups: dict[int, list[bytes]] = {}
    for path, where in found.items():
        if where.upper_inode is not None and where.upper_links > 1 and not _is_directory(raw, path):
            groups.setdefault(where.upper_inode, []).append(path)
    left = _left_names(found)
    links: dict[bytes, bytes] = {}
    for members in groups.values():
        kept = next((path for path in members if found[path].copied), None)
        if kept is None:
            left_name = left.get(found[members[0]].origin or b"")
            kept = left_name if left_name and _equal(raw[left_name].before, raw[members[0]].after) else None
        if kept is not None:
            links.update({path: kept for path in members if not found[path].copied})
    return links


def _is_directory(raw: Mapping[bytes, RawEffect], path: bytes) -> bool:
    after = raw[path].after if path in raw else None
    return after is None or after.type == "dir"


def _equal(one: State | None, other: State | None) -> bool:
    return one is not None and other is not None and one.timeless() == other.timeless()


def _left_names(found: Mapping[bytes, Found]) -> dict[bytes, bytes]:
    """Find live files that lose a name but have others that nothing touches: {file handle: one of the names lost}."""
    names: dict[bytes, list[bytes]] = {}
    for path, where in found.items():
        if where.handle is not None:
            names.setdefault(where.handle, []).append(path)
    return {handle: paths[0] for handle, paths in names.items() if found[paths[0]].links > len(paths)}


def _reading_order(step: Step) -> tuple[int, bytes]:
    """Sort so that a live reader sees a mixture only briefly.

    New paths, changed files, metadata, removals, configuration, links.
    """
    if isinstance(step, Service):
        return (9, step.unit.encode())
    if isinstance(step, Meta):
        return (7, step.path)
    if step.want is not None and step.want.type == "symlink":
        return (6, step.path)
    if step.want is None:
        return (3, step.path)
    if step.path.startswith(b"/etc/"):
        return (5, step.path)
    return (1 if step.expect is None else 2, step.path)


def _around(steps: Sequence[Step]) -> set[bytes]:
    """Name the directories whose entries are switched, or which get another mode."""
    around = {os.path.dirname(step.path) or b"/" for step in steps if isinstance(step, Switch)}
    return around | {step.path for step in steps if isinstance(step, Meta)}


def _times(steps: Sequence[Step], found: Mapping[bytes, Found]) -> tuple[Times, ...]:
    """Say which directories get which modification time, because their entries are switched."""
    known = {path: found[path].mtimes for path in _around(steps) if path in found}
    return tuple(Times(path, *mtimes) for path, mtimes in sorted(known.items()) if mtimes is not None)


def undo_plan(applied: Plan) -> Plan:
    """Give the plan that takes this one back: every step undone, in the opposite order."""
    files = [undo(step) for step in reversed(applied.steps) if not isinstance(step, Service)]
    services = [undo(step) for step in applied.steps if isinstance(step, Service)]
    times = tuple(Times(t.path, t.after_ns, t.before_ns) for t in applied.times)
    return Plan(steps=(*files, *services), times=times, folders=applied.folders)


def pack_plan(value: Plan) -> dict[str, Any]:
    """Give the JSON form kept beside the ledger; its steps are made one by one, as they are read."""
    text = os.fsdecode
    return {
        "format": FORMAT,
        "steps": map(pack_step, value.steps),
        "times": [[text(t.path), t.before_ns, t.after_ns] for t in value.times],
        "relinks": [[text(r.staged), text(r.source)] for r in value.relinks],
        "appends": [[text(a.path), text(a.source), a.before.packed()] for a in value.appends],
        "folders": [text(folder) for folder in value.folders],
    }


_TIMES = shape.many(shape.row(shape.path, shape.signed, shape.signed))
_SHAPE = shape.fields(
    {
        "format": shape.whole,
        "steps": shape.many(shape.anything),
        "times": _TIMES,
        "relinks": shape.many(shape.row(shape.path, shape.path)),
        "appends": shape.many(shape.row(shape.path, shape.path, DOCUMENT)),
        "folders": shape.many(shape.path),
    }
)


def places(value: Plan) -> Iterator[bytes]:
    """Name every path of a plan that must lie in a stage."""
    for step in value.steps:
        if isinstance(step, Switch):
            yield step.staged
        elif isinstance(step, Write):
            yield from (step.before_copy, step.after_copy)
    yield from (relink.staged for relink in value.relinks)
    yield from (append.source for append in value.appends)
    yield from value.folders


def unpack_plan(packed: Any) -> Plan:
    """Read back what `pack_plan` gave; a newer format is a NotPossibleError, anything else a ValueError."""
    if not isinstance(packed, dict) or not shape.whole(packed.get("format")):
        raise ValueError("not a plan")
    if packed["format"] <= FORMAT and not _SHAPE(packed):
        raise ValueError("not a plan of format 1")
    if packed["format"] > FORMAT:
        raise NotPossibleError(
            f"This change's plan has format {packed['format']}; this backout reads up to {FORMAT}.",
            next="Use the release of backout that made the change.",
        )
    path = os.fsencode
    return Plan(
        steps=tuple(unpack_step(step) for step in packed["steps"]),
        times=tuple(Times(path(p), before, after) for p, before, after in packed["times"]),
        relinks=tuple(Relink(path(staged), path(source)) for staged, source in packed["relinks"]),
        appends=tuple(
            Append(path(p), path(source), known)
            for p, source, before in packed["appends"]
            for known in [unpack(before)]
            if known is not None
        ),
        folders=tuple(path(folder) for folder in packed["folders"]),
    )

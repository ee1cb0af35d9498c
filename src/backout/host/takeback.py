"""Taking back a change that stands, and doing one again: new changes over the same steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from backout.errors import UsageError
from backout.host.archive import Archive
from backout.host.busy import busy
from backout.host.execute import Conflict, Executor
from backout.host.layerview import content
from backout.host.ledger import Ledger
from backout.host.mounts import is_below, is_within
from backout.host.plan import Plan, flat, undo_plan
from backout.host.scan import is_whiteout
from backout.host.transact import Order, Transactions, is_noise, manifest, stop_at_conflicts, without_moved_noise
from backout.host.tree import Parents, below, is_directory, state_of
from backout.host.trouble import UNTOUCHED, told
from backout.lens.textdiff import text_diff
from backout.model.effect import RawEffect
from backout.model.ledger import KEPT, REFUSED, UNDONE, Change
from backout.model.state import State
from backout.model.step import Service, Step, Switch, Write

STOP, KEEP, DISCARD = "stop", "keep", "discard"
_DIFF_LINES = 80


class Wish(NamedTuple):
    """Which change to take back, as which new change, and what becomes of edits made since: stop, keep, discard."""

    change: Change
    new: str
    body: dict[str, Any]
    edits: str = STOP


def take_back(transactions: Transactions, ledger: Ledger, wish: Wish) -> dict[str, Any]:
    """Apply the opposite of a change; gives {edited, saved, noise_kept} and leaves keeping it to the caller.

    `saved` names where the edits lie: copies where they are kept, what was displaced where they are discarded.
    `noise_kept` counts noise paths that moved on and keep their live version.

    ConflictError, with the conflicts and their diffs, when a path was edited since and the wish is to stop.
    """
    with told(f"Change {wish.change.id} could not be taken back", UNTOUCHED):
        order, edited, noise_kept = _opposite(ledger, wish)
        copies = _copies(Archive(ledger.state, wish.new), edited) if wish.edits == KEEP else []
    paths = [os.fsdecode(conflict.path) for conflict in edited]
    transactions.apply(order, {**wish.body, "undoes": wish.change.id, "edits": wish.edits, "edited": paths})
    saved = _saved(order.plan, paths) if wish.edits == DISCARD else copies
    return {"edited": paths, "saved": saved, "noise_kept": noise_kept}


def _opposite(ledger: Ledger, wish: Wish) -> tuple[Order, list[Conflict], int]:
    """Give the order that takes a change back, the paths edited since, and how many noise paths it leaves alone."""
    archive = Archive(ledger.state, wish.change.id)
    raw = [RawEffect(r.path, r.after, r.before) for r in archive.raw()]
    barrier_ns = wish.change.body.get("barrier_ns", 0)
    executor = Executor(barrier_ns, manifest(raw), is_noise)
    try:
        whole = undo_plan(archive.plan(wish.change.body.get("plan")))
        reverse, conflicts = without_moved_noise(whole, executor)
        noise_kept = len(whole.steps) - len(reverse.steps)
    finally:
        executor.close()
    stop_at_conflicts(busy(reverse.steps))
    if conflicts and wish.edits == STOP:
        stop_at_conflicts(conflicts, [_diff(conflict, reverse) for conflict in conflicts])
    if conflicts and wish.edits == KEEP:
        reverse, conflicts = _without(reverse, conflicts, raw)
    elif conflicts:
        reverse = _over(reverse, conflicts)
    return Order(wish.new, reverse, _as_found(raw, conflicts), barrier_ns), conflicts, noise_kept


def redo_order(ledger: Ledger, change: Change, new: str) -> tuple[Order, dict[str, Any]]:
    """Give the order that applies a recorded change once more; the live state is compared in full, by content."""
    if change.body.get("adopted"):
        raise UsageError(f"Change {change.id} is drift that was adopted: backout has nothing of it to apply.")
    if not (change.state in (REFUSED, UNDONE) or (change.state == KEPT and change.undone_by)):
        raise UsageError(f"Change {change.id} stands already.", next=f"backout back {change.id} takes it back.")
    stop_at_conflicts([Conflict(os.fsencode(path), what) for path, what in change.body.get("moved", {}).items()])
    archive = Archive(ledger.state, change.id)
    document = {**archive.document(), "change": new}
    order = Order(new, archive.plan(change.body.get("plan")), tuple(archive.raw()), 0)
    moved = sorted(_not_as_rehearsed(order))
    if moved:
        raise UsageError(
            f"What is kept of change {change.id} is not what was rehearsed any more: {os.fsdecode(moved[0])}.",
            next="Rehearse its command again: edits were discarded into it.",
        )
    return order, document


def _not_as_rehearsed(order: Order) -> Iterator[bytes]:
    """Name the paths whose new side in the stage is not as rehearsed (law 3): edits may have been put aside there."""
    after = {effect.path: effect.after for effect in order.raw}
    parents = Parents()
    try:
        for step in order.plan.steps:
            if isinstance(step, Switch) and step.want is not None:
                if not _as_left(state_of(parents.name(step.staged)), step.want):
                    yield step.path
                elif step.want.type == "dir":
                    yield from _not_below(step, after)
    finally:
        parents.close()


def _not_below(step: Switch, after: dict[bytes, State | None]) -> Iterator[bytes]:
    left = {path for path, state in after.items() if state is not None and is_below(path, step.path)}
    for staged, name in below(step.staged):
        path, status = step.path + staged[len(step.staged) :], name.lstat()
        left.discard(path)
        removed = status is not None and is_whiteout(name, status)  # of a refused change, which was never settled
        if not removed and not _as_left(state_of(name), after.get(path)):
            yield path
    yield from left


def _saved(reverse: Plan, edited: list[str]) -> list[str]:
    """Name where the edited versions lie now: what was displaced."""
    places = {os.fsdecode(s.path): s for s in reverse.steps if not isinstance(s, Service)}
    steps = [places[path] for path in edited if path in places]
    return [
        os.fsdecode(s.staged if isinstance(s, Switch) else s.before_copy)
        for s in steps
        if isinstance(s, (Switch, Write))
    ]


def _copies(archive: Archive, conflicts: list[Conflict]) -> list[str]:
    """Save the edited files as they are now; what is no file, or may not be read, stays where it is."""
    edits = [(number, content(conflict.path)) for number, conflict in enumerate(conflicts)]
    return [archive.save(b"edit-%d" % number, edit) for number, edit in edits if edit is not None]


def _as_found(raw: list[RawEffect], conflicts: list[Conflict]) -> tuple[RawEffect, ...]:
    """Expect at the edited paths, and beneath them, what is there now."""
    edited = {conflict.path for conflict in conflicts}
    found = [r for r in raw if not any(is_within(r.path, path) for path in edited)]
    for path in edited:
        if is_directory(path):
            found += [RawEffect(at, state_of(name), None) for at, name in below(path)]
    return tuple(found)


def _without(plan: Plan, conflicts: list[Conflict], raw: list[RawEffect]) -> tuple[Plan, list[Conflict]]:
    """Leave the edited paths alone. A new folder that holds edits is taken apart: the rest of it goes.

    Gives the plan, and the paths that stay.
    """
    edited = {conflict.path for conflict in conflicts}
    apart = [s for s in plan.steps if isinstance(s, Switch) and s.path in edited and s.want is None and _is_folder(s)]
    apart = [step for step in apart if is_directory(step.path)]
    left = [s for s in plan.steps if isinstance(s, Service) or s.path not in edited]
    folder = plan.folders[0] if plan.folders else b""
    stays = [conflict for conflict in conflicts if conflict.path not in {step.path for step in apart}]
    for step in apart:
        gone, kept = _taken_apart(step, {r.path: r for r in raw}, _stage_of(step, plan.folders) or folder)
        left += gone
        stays += kept
    return plan._replace(steps=tuple(left)), stays


def _is_folder(step: Switch) -> bool:
    return step.expect is not None and step.expect.type == "dir"


def _stage_of(step: Switch, folders: tuple[bytes, ...]) -> bytes | None:
    """Name the stage folder of the mount that a step belongs to."""
    return next((folder for folder in folders if is_within(step.staged, folder)), None)


def _taken_apart(step: Switch, raw: dict[bytes, RawEffect], stage: bytes) -> tuple[list[Switch], list[Conflict]]:
    """Go through a folder that the change made: what is as the change left it goes, whole; what is not stays."""
    found = [(path, name.lstat(), state_of(name)) for path, name in below(step.path)]
    kept = [
        Conflict(path, "it was changed" if path in raw else "it was added")
        for path, _, state in found
        if path not in raw or not _as_left(state, raw[path].before)
    ]
    stays = {folder for conflict in kept for folder in _upward(conflict.path, step.path)}
    gone: list[Switch] = []
    for path, status, state in found:
        if path not in stays and status is not None and not (gone and is_within(path, gone[-1].path)):
            gone.append(Switch(path, stage + b"/displaced/" + flat(path), state, None, status.st_ino))
    return gone, kept


def _as_left(state: State | None, left: State | None) -> bool:
    return state is not None and left is not None and state.timeless() == left.timeless()


def _upward(path: bytes, top: bytes) -> list[bytes]:
    """Name a path, and the folders above it up to `top`."""
    found = [path]
    while found[-1] != top:
        found.append(os.path.dirname(found[-1]))
    return found


def _over(plan: Plan, conflicts: list[Conflict]) -> Plan:
    """Take the edited paths back, too; the exchange leaves the edited versions in the stage."""
    edited = {conflict.path for conflict in conflicts}
    parents = Parents()
    try:
        steps: list[Step | None] = [
            _observed(s, parents) if not isinstance(s, Service) and s.path in edited else s for s in plan.steps
        ]
    finally:
        parents.close()
    return plan._replace(steps=tuple(step for step in steps if step is not None))


def _observed(step: Any, parents: Parents) -> Step | None:
    """Expect what is there now; None when what would be removed is gone already."""
    name = parents.name(step.path)
    status = name.lstat()
    if not isinstance(step, Switch):
        return None if status is None else step._replace(expect=state_of(name))
    if status is None:
        return None if step.want is None else step._replace(expect=None, expect_inode=None)
    return step._replace(expect=state_of(name), expect_inode=status.st_ino)


def _diff(conflict: Conflict, plan: Plan) -> str:
    """Show what is there now against what was there before the change; empty where it is no text."""
    step = next((s for s in plan.steps if not isinstance(s, Service) and s.path == conflict.path), None)
    before = getattr(step, "staged", None) or getattr(step, "after_copy", None)
    now = content(conflict.path)
    if now is None or (before is not None and content(before) is None):
        return ""
    shown = text_diff(None if before is None else content(before), now, conflict.path) or ""
    return "".join(shown.splitlines(keepends=True)[:_DIFF_LINES])

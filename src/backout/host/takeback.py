"""Taking back a change that stands, and doing one again: new changes over the same steps."""

from __future__ import annotations

import difflib
import os
from typing import Any, NamedTuple

from backout.errors import UsageError
from backout.host.archive import Archive
from backout.host.execute import Conflict, Executor
from backout.host.ledger import Ledger
from backout.host.plan import Plan, undo_plan
from backout.host.transact import Order, Transactions, busy, is_noise, manifest, stop_at_conflicts, without_moved_noise
from backout.host.tree import Parents, state_of
from backout.model.effect import RawEffect
from backout.model.ledger import KEPT, REFUSED, UNDONE, Change
from backout.model.redact import redact
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
    if conflicts:
        reverse = _without(reverse, conflicts) if wish.edits == KEEP else _over(reverse, conflicts)
    edited = [os.fsdecode(conflict.path) for conflict in conflicts]
    body = {**wish.body, "undoes": wish.change.id, "edits": wish.edits, "edited": edited}
    known = {c.path for c in conflicts}
    order = Order(wish.new, reverse, tuple(r for r in raw if r.path not in known), barrier_ns)
    copies = _copies(Archive(ledger.state, wish.new), conflicts) if wish.edits == KEEP else []
    transactions.apply(order, body)
    saved = _saved(reverse, edited) if wish.edits == DISCARD else copies
    return {"edited": edited, "saved": saved, "noise_kept": noise_kept}


def redo_order(ledger: Ledger, change: Change, new: str) -> tuple[Order, dict[str, Any]]:
    """Give the order that applies a recorded change once more; the live state is compared in full, by content."""
    if not (change.state in (REFUSED, UNDONE) or (change.state == KEPT and change.undone_by)):
        raise UsageError(f"Change {change.id} stands already.", next=f"backout back {change.id} takes it back.")
    archive = Archive(ledger.state, change.id)
    document = {**archive.document(), "change": new}
    return Order(new, archive.plan(change.body.get("plan")), tuple(archive.raw()), 0), document


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
    """Save the edited files as they are now; what is no file stays where it is."""
    copies = []
    for number, conflict in enumerate(conflicts):
        if os.path.isfile(conflict.path) and not os.path.islink(conflict.path):
            copies.append(archive.save(b"edit-%d" % number, conflict.path))
    return copies


def _without(plan: Plan, conflicts: list[Conflict]) -> Plan:
    """Leave the edited paths alone."""
    edited = {conflict.path for conflict in conflicts}
    return plan._replace(steps=tuple(s for s in plan.steps if isinstance(s, Service) or s.path not in edited))


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
        return None if status is None else step._replace(expect=state_of(name, status))
    if status is None:
        return None if step.want is None else step._replace(expect=None, expect_inode=None)
    return step._replace(expect=state_of(name, status), expect_inode=status.st_ino)


def _diff(conflict: Conflict, plan: Plan) -> str:
    """Show what was edited since, against what backout left; empty where it is no text."""
    step = next((s for s in plan.steps if not isinstance(s, Service) and s.path == conflict.path), None)
    left = getattr(step, "staged", None) or getattr(step, "after_copy", None)
    if os.path.islink(conflict.path) or not os.path.isfile(conflict.path):
        return ""
    try:
        with open(conflict.path, encoding="utf-8") as file:
            now = file.read().splitlines(keepends=True)
        with open(left or b"/dev/null", encoding="utf-8") as file:
            old = file.read().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError):
        return ""
    lines = difflib.unified_diff(old, now, "before the change", "now", n=2)
    return redact("".join(list(lines)[:_DIFF_LINES]))

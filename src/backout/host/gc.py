"""What may go: pre-images that nothing promises to put back any more."""

from __future__ import annotations

import os
import time
from typing import Any

from backout.host import saved
from backout.host.archive import Archive, drop_stages
from backout.host.files import is_held
from backout.host.ledger import Ledger
from backout.host.mounts import read, visible
from backout.host.stage import change_folder
from backout.host.tree import below
from backout.host.view import can_record
from backout.model.ledger import EXPIRED, Change, fold


def collect(ledger: Ledger, older_than_s: float, *, standing: bool, dry_run: bool) -> dict[str, Any]:
    """Let go of changes older than `older_than_s` that do not stand, of what was saved in incidents, of orphans.

    What stands keeps its pre-images unless `standing` lets it go: then it can no longer be taken back. So does every
    change whose stage another one needs.
    Gives {let_go: [{change, size_bytes}], orphans, size_bytes, dry_run}.
    """
    changes = fold(ledger.entries())
    now = time.time()
    leaving = {c.id for c in changes if standing and c.stands and now - c.at >= older_than_s}
    needed = _needed([change for change in changes if change.id not in leaving])
    let_go: list[dict[str, Any]] = []
    for change in changes:
        if change.expired or change.id in needed or now - change.at < older_than_s:
            continue
        let_go.append(_let_go(ledger, change, dry_run=dry_run))
    orphans = _orphans(ledger, changes, dry_run=dry_run)
    total = sum(row["size_bytes"] for row in let_go)
    total += saved.let_go(ledger.state, older_than_s, dry_run=dry_run)
    return {"let_go": let_go, "orphans": orphans, "size_bytes": total, "dry_run": dry_run}


def _needed(changes: list[Change]) -> set[str]:
    """Name the changes whose stage folders hold what standing or unfinished changes need."""
    needed: set[str] = set()
    for change in changes:
        if change.stands or change.state in ("prepared", "applied", "undoing"):
            needed.add(change.id)
            redone = change.body.get("redoes")
            while redone and redone not in needed:
                needed.add(redone)
                redone = next((c.body.get("redoes") for c in changes if c.id == redone), None)
    return needed


def _let_go(ledger: Ledger, change: Change, *, dry_run: bool) -> dict[str, Any]:
    archive = Archive(ledger.state, change.id)
    folders = () if change.undoes else archive.plan().folders
    size_bytes = sum(_size(folder) for folder in folders)
    if not dry_run:
        ledger.append(change.id, EXPIRED, {"size_bytes": size_bytes})
        archive.drop(folders)
    return {"change": change.id, "size_bytes": size_bytes}


def _orphans(ledger: Ledger, changes: list[Change], *, dry_run: bool) -> list[str]:
    """Find what a killed rehearsal left behind, on every file system; what a living one uses stays.

    A rehearsal makes its folder below the state folder first: what lies at a mount's root under a name that was never
    there may belong to somebody else's state, and is left alone. So that one is removed last.
    """
    known = {os.fsencode(change.id) for change in changes}
    state, found = ledger.state, []
    for name in _names(state + b"/stage"):
        primary = state + b"/stage/" + name
        if name not in known and not is_held(primary):
            found += leftovers(state, name)
    found += [state + b"/changes/" + name for name in _names(state + b"/changes") if name not in known]
    found = [folder for folder in found if os.path.isdir(folder)]
    if not dry_run:
        drop_stages(found)
    return [os.fsdecode(folder) for folder in found]


def leftovers(state: bytes, name: bytes) -> list[bytes]:
    """Name where a killed rehearsal of that name can have left something; what tells that it is ours comes last."""
    return [state + b"/shims-" + name, *_elsewhere(name), state + b"/stage/" + name]


def _names(folder: bytes) -> list[bytes]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _elsewhere(change: bytes) -> list[bytes]:
    """Name where a change's folder can lie at the root of a mount."""
    name, uid = os.fsdecode(change), os.geteuid()
    points = [mount.point for mount in visible(read()) if can_record(mount)]
    return [change_folder(point, b"", holds_state=False, change=name, uid=uid) for point in points]


def _size(folder: bytes) -> int:
    try:
        return sum(status.st_blocks * 512 for _, name in below(folder) for status in [name.lstat()] if status)
    except OSError:
        return 0

"""Where things lie on a host: the state folder, and one stage on each file system that is changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from backout.host.mounts import is_within


class Layer(NamedTuple):
    """One overlaid mount of a view: its live mount point, and where its upper, work and pre-image folders lie.

    All three lie in `folder`, the change's own folder in the stage of that mount, so that promotion is a rename.
    """

    point: bytes
    folder: bytes

    @property
    def upper(self) -> bytes:
        """What the command wrote."""
        return self.folder + b"/upper"

    @property
    def work(self) -> bytes:
        """The overlay's own work folder."""
        return self.folder + b"/work"

    @property
    def displaced(self) -> bytes:
        """Where removed paths and copies of in-place writes go."""
        return self.folder + b"/displaced"


def layer_of(path: bytes, layers: Iterable[Layer]) -> Layer | None:
    """Give the layer that records a path: of those around it the innermost; None where its mount has none."""
    around = [layer for layer in layers if is_within(path, layer.point)]
    return max(around, key=lambda layer: len(layer.point), default=None)


def state_folder(environ: Mapping[str, str], uid: int) -> bytes:
    """Name the folder of the ledger: /var/lib/backout as root, else $XDG_STATE_HOME/backout (design, section 6).

    By its true path: what lies in it is reached later through no link.
    """
    chosen = environ.get("BACKOUT_STATE")
    if chosen:
        return os.fsencode(os.path.realpath(chosen))
    if uid == 0:
        return os.path.realpath(b"/var/lib/backout")
    base = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME", "/"), ".local/state")
    return os.fsencode(os.path.realpath(os.path.join(base, "backout")))


def identity(state: bytes) -> str:
    """Name the ledger of a state folder, whatever the machine is called: by the boot, and by the folder's place.

    Where it is not there yet, the folder counts in which it will be made.
    """
    there = state
    missing: list[bytes] = []
    while not os.path.lexists(there):
        there, _, name = there.rpartition(b"/")
        missing.append(name)
        there = there or b"/"
    found = os.stat(there)
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    return "/".join([boot, f"{found.st_dev}:{found.st_ino}", *map(os.fsdecode, reversed(missing))])


def change_folder(point: bytes, state: bytes, *, holds_state: bool, change: str, uid: int = 0) -> bytes:
    """Name a change's folder in the stage of the mount at `point`.

    The mount that holds the state folder has its stage there; every other has one at its root, hidden by name and mode.
    """
    if holds_state:
        return os.path.join(state, b"stage", change.encode())
    return os.path.join(point, b".backout" if uid == 0 else b".backout-%d" % uid, change.encode())

"""Putting a view together, from inside its namespaces: overlays, binds, own /proc, /sys and /dev; then entering it.

The old root is let go at the end, so that nothing of the host can be reached but through the view.

Mount points are named by their paths, and a user who owns a folder above one can lead these elsewhere. Then something
else of the host is shown there, read-only or beneath a layer, or a mount is missing from the view; the mounts are this
namespace's own, and no file of the host is written by name. What the layer records is held against the live path by
the scan, which follows no link.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat as st
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backout.errors import NotPossibleError
from backout.host.devices import make_dev, make_proc, make_sys
from backout.host.folders import CHECK_UPPER, CHECK_WORK, FROZEN_WORK
from backout.host.mounting import (
    bind,
    held,
    make_private,
    make_read_only,
    open_path,
    overlay,
    pivot,
    seal,
    set_flags,
    tmpfs,
)
from backout.host.mounts import NODEV, NOSUID, RDONLY, is_below
from backout.host.signals import fork
from backout.host.stage import Layer
from backout.host.view import BIND, COPY, DEAD, OVERLAY, PROC, SEAL, SHOW, Piece, View, is_risky

RECORD, WITH_CHANGE, WITHOUT_CHANGE = "record", "with change", "without change"
_REMOTE_PATIENCE_S = 2.0


class Recipe(NamedTuple):
    """What a view is made of.

    `place` is a host directory over which it is put together. `mode` says whether the layers record, or are looked at
    through scratch layers, with the recorded change or without. `copies` are private copies of single files, by mount
    point; `masks` are directories to be seen empty; `open_folders` are those that no layer covers, though what is in
    them can be (only without root). `shims` has one tree for all layers; `real` and `requests` go to /dev/.backout.
    `first_environ` is what the host's PID 1 has, if that may be read: Facter looks there for a container's name.
    """

    view: View
    layers: Mapping[bytes, Layer]
    place: bytes
    mode: str
    own_network: bool
    rootless: bool
    copies: Mapping[bytes, bytes]
    masks: Sequence[bytes]
    open_folders: Sequence[bytes] = ()
    shims: bytes | None = None
    real: Mapping[bytes, bytes] = {}
    requests: bytes | None = None
    first_environ: bytes | None = None


def assemble(recipe: Recipe) -> list[str]:
    """Make the view and enter it; what could not be as on the host is answered in sentences.

    NotPossibleError when the root directory cannot be overlaid.
    """
    make_private()
    work = _Assembly(recipe)
    work.prepare()
    work.overlays()
    work.root()
    make_proc(recipe.place)
    make_sys(recipe.place, own_network=recipe.own_network)
    make_dev(recipe.place, work.scratch + b"/nodes", rootless=recipe.rootless)
    work.shims_in_dev()
    work.environ()
    for piece in recipe.view.pieces:
        if piece.point != b"/":
            work.piece(piece)
    work.masks()
    pivot(recipe.place)
    work.close()
    return work.limits


class _Assembly:
    """One run of `assemble`."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._overlays: dict[bytes, int] = {}
        self._without: set[bytes] = set()
        self._descriptors: list[int] = []
        self._split_links: list[bytes] = []
        self.scratch = b""
        self.limits: list[str] = []

    def prepare(self) -> None:
        """Make a small file system of our own for what a view needs beside the host's files."""
        place = self._recipe.place
        tmpfs(place, b"mode=755", NOSUID)
        self.scratch = held(self._hold(place))
        for name in (b"/empty", b"/nodes", b"/dead", b"/layers"):
            os.mkdir(self.scratch + name, 0o755)
        if self._recipe.shims is not None:
            _copy_tree(self._recipe.shims, self.scratch + b"/shims")

    def _hold(self, path: bytes) -> int:
        descriptor = open_path(path)
        self._descriptors.append(descriptor)
        return descriptor

    def close(self) -> None:
        """Let go of everything that was held."""
        for descriptor in self._descriptors:
            os.close(descriptor)

    def overlays(self) -> None:
        """Mount every layer in a place of our own, where nothing is mounted above it, and hold it."""
        for piece in self._recipe.view.overlays():
            layer = self._recipe.layers.get(piece.point)
            if layer is None:
                self._refused(piece, OSError(0, "no folder could be made for its changes"))
                continue
            try:
                self._overlays[piece.point] = self._mounted(piece, layer)
            except OSError as error:
                self._refused(piece, error)
        if self._split_links:
            names = ", ".join(os.fsdecode(point) for point in self._split_links)
            self.limits.append(f"Hard links in {names} were not kept together in the rehearsal: the kernel refused.")

    def _mounted(self, piece: Piece, layer: Layer) -> int:
        """Give the layer's overlay; for a look, a scratch one over the frozen one (lower layers may not be nested)."""
        point, source, mode = piece.point, piece.mount.source, self._recipe.mode
        lowers = [*self._shims_for(point), point]
        if mode == WITH_CHANGE:
            frozen, _ = self._overlay(lowers, layer.upper, layer.folder + FROZEN_WORK, RDONLY, source)
            lowers = [held(frozen)]
        if mode != RECORD:
            return self._overlay(lowers, layer.folder + CHECK_UPPER, layer.folder + CHECK_WORK, NODEV, source)[0]
        merged, linked = self._overlay(lowers, layer.upper, layer.work, NODEV, source)
        if not linked and not self._recipe.rootless:
            self._split_links.append(point)
        return merged

    def _overlay(
        self, lowers: Sequence[bytes], upper: bytes, work: bytes, flags: int, source: bytes
    ) -> tuple[int, bool]:
        target = self.scratch + b"/layers/%d" % len(os.listdir(self.scratch + b"/layers"))
        os.mkdir(target)
        linked = overlay(target, lowers, upper, work, flags, source=source, user=self._recipe.rootless)
        return self._hold(target), linked

    def _shims_for(self, point: bytes) -> list[bytes]:
        top = self.scratch + b"/shims" + (b"" if point == b"/" else point)
        return [top] if self._recipe.shims is not None and os.path.isdir(top) else []

    def _refused(self, piece: Piece, error: OSError) -> None:
        name = os.fsdecode(piece.point)
        reason = error.strerror or str(error)
        if piece.point == b"/":
            raise NotPossibleError(
                f"This kernel cannot lay an overlay over {name}: {reason}.", next="backout doctor"
            ) from error
        self._without.add(piece.point)
        self.limits.append(f"{name} cannot be rehearsed: it was read-only ({reason}).")

    def root(self) -> None:
        """Start the new tree: the root directory's layer, or, without root, all of the host read-only."""
        place = self._recipe.place
        if self._recipe.rootless:
            bind(b"/", place, recursive=True)
            make_read_only(place)
            return
        (top,) = (piece for piece in self._recipe.view.pieces if piece.point == b"/")
        bind(held(self._overlays[b"/"]), place, top.flags)

    def shims_in_dev(self) -> None:
        """Show what the stand-ins need."""
        recipe = self._recipe
        if recipe.requests is None:
            return
        folder = recipe.place + b"/dev/.backout"
        os.mkdir(folder, 0o755)
        os.mkdir(folder + b"/real", 0o755)
        _bind_file(recipe.requests, folder + b"/requests", NOSUID | NODEV)
        for name, source in recipe.real.items():
            _bind_file(source, folder + b"/real/" + name, RDONLY | NODEV)

    def environ(self) -> None:
        """Show the environment of the host's PID 1 as that of the view's, which itself is closed to the command."""
        if self._recipe.first_environ is not None:
            content = self.scratch + b"/environ"
            with open(os.open(content, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o400), "wb") as file:
                file.write(self._recipe.first_environ)
            bind(content, self._recipe.place + b"/proc/1/environ", RDONLY | NODEV | NOSUID)

    def piece(self, piece: Piece) -> None:
        """Put one mount in its place."""
        target = self._recipe.place + piece.point
        try:
            self._place(piece, target)
        except OSError as error:
            reason = error.strerror or str(error)
            self.limits.append(f"{os.fsdecode(piece.point)} was not as on the host in the rehearsal: {reason}.")

    def _place(self, piece: Piece, target: bytes) -> None:
        how = SHOW if piece.point in self._without else piece.how
        if how == OVERLAY:
            bind(held(self._overlays[piece.point]), target, piece.flags)
        elif how == BIND:
            base, name = piece.source
            source = held(self._overlays[base]) if base in self._overlays else base
            read_only = 0 if base in self._overlays else RDONLY
            bind(source + (b"/" + name if name else b""), target, piece.flags | read_only)
        elif how == SEAL:
            self._seal(piece, target)
        elif how == COPY:
            bind(self._recipe.copies[piece.point], target, piece.flags)
        elif how == DEAD:
            bind(self._dead(piece.point), target, piece.flags | RDONLY)
        elif how == PROC:
            bind(self._recipe.place + b"/proc", target, piece.flags | RDONLY)
        else:
            self._show(piece, target)

    def _seal(self, piece: Piece, target: bytes) -> None:
        try:
            seal(target, piece.point, self.scratch + b"/empty", RDONLY, user=self._recipe.rootless)
            set_flags(target, piece.flags)
        except OSError:
            self._show(piece, target)

    def _show(self, piece: Piece, target: bytes) -> None:
        """Show a mount read-only, with those below it where they are the kernel's."""
        below_sys = is_below(piece.point, b"/sys")
        if self._recipe.rootless and not below_sys:
            return  # the read-only copy of the whole tree shows it
        shown = [other.point for other in self._recipe.view.pieces if other.how == SHOW]
        if below_sys and any(is_below(piece.point, other) for other in shown):
            return
        if is_risky(piece.mount):
            _bind_with_patience(piece.point, target, piece.flags | RDONLY)
            return
        bind(piece.point, target, recursive=below_sys)
        if below_sys:
            make_read_only(target)
        else:
            set_flags(target, piece.flags | RDONLY)

    def _dead(self, path: bytes) -> bytes:
        """Make a socket or FIFO like another one, but with nobody behind it; for anything else an empty file."""
        kind = st.S_IFMT(os.lstat(path).st_mode)
        kind = kind if kind in (st.S_IFSOCK, st.S_IFIFO) else st.S_IFREG
        dead = self.scratch + b"/dead/%o" % kind
        if not os.path.lexists(dead):
            os.mknod(dead, kind | 0o666)
        return dead

    def masks(self) -> None:
        """Hide what is ours, and, without root, the live sockets that no layer covers."""
        for path in self._recipe.masks:
            if os.path.isdir(self._recipe.place + path):
                bind(self.scratch + b"/empty", self._recipe.place + path, RDONLY | NODEV | NOSUID)
        for folder in self._recipe.open_folders:
            for entry in os.scandir(folder):
                if st.S_IFMT(entry.stat(follow_symlinks=False).st_mode) in (st.S_IFSOCK, st.S_IFIFO):
                    bind(self._dead(entry.path), self._recipe.place + entry.path, RDONLY)


def _bind_file(source: bytes, target: bytes, flags: int) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    bind(source, target, flags)


def _bind_with_patience(source: bytes, target: bytes, flags: int) -> None:
    """Bind what may wait for another machine, in a process of its own that is given up after a while."""
    child = fork()
    if child == 0:
        try:
            bind(source, target, flags)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    until = time.monotonic() + _REMOTE_PATIENCE_S
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise OSError(os.WEXITSTATUS(status), os.strerror(os.WEXITSTATUS(status)), source)
            return
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    raise TimeoutError(110, "it does not answer", source)


def _copy_tree(source: bytes, target: bytes) -> None:
    """Copy the stand-ins' layer, owners included: a merged directory looks like its topmost layer."""
    os.mkdir(target)
    for entry in os.scandir(source):
        below = target + b"/" + entry.name
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), below)
        elif entry.is_dir(follow_symlinks=False):
            _copy_tree(entry.path, below)
        else:
            shutil.copyfile(entry.path, below, follow_symlinks=False)
        _copy_metadata(entry.path, below)
    _copy_metadata(source, target)


def _copy_metadata(source: bytes, target: bytes) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)

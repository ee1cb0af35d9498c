"""The one executor over steps: apply, undo and recovery all go through here.

A path is switched by exchange, and the displaced inode is checked afterwards: an edit that came between the look and
the switch is seen, and switched back (traps C2). Parents are opened component by component, links never followed (C9).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat as st
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

from backout.errors import ConflictError
from backout.host import libc
from backout.host.inplace import alone, begins, copy_durably, set_metadata, write_in_place
from backout.host.tree import GONE, Name, Parents, below, file_type, held, state_of
from backout.model.state import State
from backout.model.step import Meta, Service, Step, Switch, Write

Manifest = Mapping[bytes, Optional[State]]
_REPLACED = "it was replaced after the crash"
_NO_FOLDER = "the folder it lies in is gone or was replaced by a link"
FOUND = b".found-by-recovery"
"""Ends the name of what a recovery found where it wrote, and could not tell whose it was."""


class Seen(NamedTuple):
    """What identifies a live inode across a rename: not its ctime, which the rename itself moves."""

    inode: int
    size: int
    mtime_ns: int
    mode: int
    owner: tuple[int, int]


class Conflict(NamedTuple):
    """A path at which the host moved on, and how."""

    path: bytes
    what: str


def seen(status: os.stat_result) -> Seen:
    """Take from a status what a displaced inode is checked against."""
    size = 0 if st.S_ISDIR(status.st_mode) else status.st_size
    return Seen(status.st_ino, size, status.st_mtime_ns, status.st_mode, (status.st_uid, status.st_gid))


class Executor:
    """Verifies, switches and reverts steps; keeps the directories that it works in open."""

    def __init__(self, barrier_ns: int, manifest: Manifest, tolerated: Any = None) -> None:
        """Take the moment before which an unchanged ctime proves an unchanged path, and what switched directories hold.

        `tolerated(path)` tells whether an unforeseen path inside a switched directory is noise.
        """
        self.barrier_ns = barrier_ns
        """May be moved on to when all was compared: what has not changed since is as it was then."""
        self._manifest = manifest
        self._sorted: list[bytes] = []
        self._tolerated = tolerated or (lambda _: False)
        self._live, self._staged = Parents(), Parents()
        self._seen: dict[bytes, Seen | None] = {}
        self._inside: dict[bytes, list[bytes]] = {}
        self._written: dict[int, Seen] = {}
        self.begun: list[Step] = []
        """The steps that may have changed something, in the order in which they were begun."""
        self.saved: list[bytes] = []
        """Copies of what was found at paths that are written in place, and was neither as before nor as wanted."""

    def close(self) -> None:
        """Close what is open; what is done afterwards opens it anew."""
        self._live.close()
        self._staged.close()

    def verify(self, steps: Iterable[Step]) -> list[Conflict]:
        """Compare every step's path with what must be true before; nothing is changed."""
        conflicts = []
        for step in steps:
            what = None if isinstance(step, Service) else self._difference(step)
            if what is not None and not isinstance(step, Service):
                conflicts.append(Conflict(step.path, what))
        return conflicts

    def _difference(self, step: Any) -> str | None:
        try:
            name = self._live.name(step.path)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return _NO_FOLDER
        status = name.lstat()
        self._seen[step.path] = None if status is None else seen(status)
        if status is None or step.expect is None:
            if status is None and step.expect is None:
                return None
            return "it is there by now" if step.expect is None else "it is gone"
        whole = isinstance(step, Switch) and step.expect.type == "dir"
        unchanged = (
            status.st_ctime_ns < self.barrier_ns and isinstance(step, Switch) and status.st_ino == step.expect_inode
        )
        if not unchanged and not _same(state_of(name), step.expect):
            return "it was changed"
        if whole and st.S_ISDIR(status.st_mode):
            return self._difference_below(step.path)
        return None

    def _difference_below(self, root: bytes) -> str | None:
        known = {path for path in self._below(root) if self._manifest[path] is not None}
        inside = self._inside[root] = []
        for path, name in below(root):
            status = name.lstat()
            known.discard(path)
            if status is None:
                continue
            inside.append(path)
            self._seen[path] = seen(status)
            foreseen = self._manifest.get(path)
            if foreseen is None and not self._tolerated(path):
                return f"{os.fsdecode(path)} was added"
            if foreseen is not None and self._is_changed(name, status, foreseen) and not self._tolerated(path):
                return f"{os.fsdecode(path)} was changed"
        gone = sorted(path for path in known if not self._tolerated(path))
        return f"{os.fsdecode(gone[0])} is gone" if gone else None

    def _is_changed(self, name: Name, status: os.stat_result, foreseen: State) -> bool:
        return status.st_ctime_ns >= self.barrier_ns and not _same(state_of(name), foreseen)

    def _below(self, root: bytes) -> list[bytes]:
        """List the manifest's paths below a directory: a range of the sorted paths ("0" follows "/")."""
        if len(self._sorted) != len(self._manifest):
            self._sorted = sorted(self._manifest)
        return self._sorted[bisect_left(self._sorted, root + b"/") : bisect_left(self._sorted, root + b"0")]

    def perform(self, step: Step) -> None:
        """Do one file step. ConflictError when the path moved on at the last moment.

        The path is then as it was found, or as somebody left it since; the step does not count as begun.
        """
        self.begun.append(step)
        try:
            if isinstance(step, Switch):
                self._switch(step)
            elif isinstance(step, Write):
                self._write(step)
            elif isinstance(step, Meta):
                self._set(step, self._at(step.path))
        except ConflictError:
            self.begun.pop()
            raise

    def _at(self, path: bytes) -> Name:
        """Give a live path's name; ConflictError when the folder that it lies in is not there any more."""
        try:
            return self._live.name(path)
        except OSError as error:
            if error.errno not in GONE:
                raise
            raise _conflict(path, _NO_FOLDER) from None

    def _write(self, step: Write) -> None:
        name = self._at(step.path)
        with contextlib.ExitStack() as opened:
            try:
                descriptor = opened.enter_context(alone(name))
            except FileNotFoundError:
                raise _conflict(step.path, "it is gone") from None
            if not self._is_as_seen(step.path, os.fstat(descriptor)):
                raise _conflict(step.path, "it was changed at the moment of the write")
            write_in_place(descriptor, self._staged.name(step.after_copy), step.want)
            status = os.fstat(descriptor)
            self._written[status.st_ino] = seen(status)

    def _set(self, step: Meta, name: Name) -> None:
        """Set a step's metadata on what was looked at, and on nothing that took its name since (traps C9)."""
        try:
            with held(name) as descriptor:
                if not self._may_be(step, os.fstat(descriptor)):
                    raise _conflict(step.path, "it was replaced")
                set_metadata(descriptor, step.want)
                status = os.fstat(descriptor)
                self._written[status.st_ino] = seen(status)
        except FileNotFoundError:
            raise _conflict(step.path, "it is gone") from None

    def _may_be(self, step: Meta | Write, status: os.stat_result) -> bool:
        """Tell whether an inode can be the one that a step is for: the one that was verified.

        A recovery has verified none, and no plan names it: then one of the same type, and of either side's owner.
        """
        if step.path in self._seen:
            verified = self._seen[step.path]
            return verified is not None and verified.inode == status.st_ino
        owners = ((step.expect.uid, step.want.uid), (step.expect.gid, step.want.gid))
        return file_type(status) == step.expect.type and status.st_uid in owners[0] and status.st_gid in owners[1]

    def _switch(self, step: Switch) -> None:
        live, staged = self._at(step.path), self._staged.name(step.staged)
        try:
            _move(live, staged, step)
        except FileExistsError:
            raise _conflict(step.path, "it is there by now") from None
        except FileNotFoundError:
            raise _conflict(step.path, "it is gone") from None
        if step.expect is None:
            return
        displaced = staged.lstat()
        if displaced is None or not self._is_as_seen(step.path, displaced) or not self._holds_the_same(step):
            _move_back(live, staged, step)
            raise _conflict(step.path, "it was changed at the moment of the switch")

    def _is_as_seen(self, path: bytes, displaced: os.stat_result) -> bool:
        """Tell whether an inode is as it was when it was verified, or as we wrote it since, through another name."""
        now = seen(displaced)
        before = self._seen.get(path, now)
        return now == before or (before is not None and now == self._written.get(before.inode))

    def _holds_the_same(self, step: Switch) -> bool:
        """Tell whether a folder that was put aside holds what was verified in it, untouched since."""
        verified = set(self._inside.get(step.path, ()))
        for staged, name in below(step.staged) if step.path in self._inside else ():
            path, status = step.path + staged[len(step.staged) :], name.lstat()
            if status is None:
                continue
            if not (path in verified and self._is_as_seen(path, status)) and not self._tolerated(path):
                return False
            verified.discard(path)
        return all(map(self._tolerated, verified))

    def revert(self, step: Step) -> Conflict | None:
        """Bring a path back to what was before the step, whether or not it was done: told by the observed inodes.

        What the kernel refuses is a conflict, so that the other paths are still brought back.
        """
        try:
            return self._revert(step)
        except ConflictError:
            return None if isinstance(step, Service) else Conflict(step.path, _REPLACED)
        except OSError as error:
            return None if isinstance(step, Service) else Conflict(step.path, error.strerror or str(error))

    def _revert(self, step: Step) -> Conflict | None:
        if isinstance(step, Switch):
            return self._revert_switch(step)
        if isinstance(step, Write):
            self._revert_write(step)
        elif isinstance(step, Meta):
            self._set(step._replace(expect=step.want, want=step.expect), self._live.name(step.path))
        return None

    def _revert_write(self, step: Write) -> None:
        """Write what was there before. What is neither of that nor of ours is saved beside it first (traps C5).

        A half of ours needs no saving, nor the room for it on a full disk. All else is somebody's edit, or what a power
        cut left of ours: nobody can tell.
        """
        live = self._live.name(step.path)
        if self._staged.name(step.before_copy).lstat() is None:
            return
        with alone(live) as descriptor:
            if not self._may_be(step, os.fstat(descriptor)):
                raise _conflict(step.path, _REPLACED)
            if not any(begins(descriptor, self._staged.name(copy)) for copy in (step.before_copy, step.after_copy)):
                copy_durably(descriptor, self._staged.name(step.before_copy + FOUND))
                self.saved.append(step.before_copy + FOUND)
            write_in_place(descriptor, self._staged.name(step.before_copy), step.expect)

    def _revert_switch(self, step: Switch) -> Conflict | None:
        live, staged = self._live.name(step.path), self._staged.name(step.staged)
        here, there = live.lstat(), staged.lstat()
        if step.expect is None:
            if here is not None and there is None and here.st_ino == step.want_inode:
                _rename(live, staged)
                return None
            return None if there is not None else Conflict(step.path, _REPLACED)
        if step.want is None:
            if here is None and there is not None:
                _rename(staged, live)
                return None
            return None if there is None else Conflict(step.path, "it is there again")
        if here is not None and here.st_ino == step.want_inode and there is not None:
            _exchange(live, staged)
            return None
        untouched = there is not None and there.st_ino == step.want_inode
        return None if untouched else Conflict(step.path, _REPLACED)


def _same(state: State | None, expect: State) -> bool:
    return state is not None and state.timeless() == expect.timeless()


def _conflict(path: bytes, what: str) -> ConflictError:
    error = ConflictError(f"{os.fsdecode(path)}: {what}.", state="Nothing was changed.", next="Rehearse again.")
    error.conflicts = ({"path": os.fsdecode(path), "what": what, "diff": ""},)
    return error


def _move(live: Name, staged: Name, step: Switch) -> None:
    if step.expect is None:
        _rename(staged, live)
    elif step.want is None:
        _rename(live, staged)
    else:
        _exchange(live, staged)


def _move_back(live: Name, staged: Name, step: Switch) -> None:
    """Put back what was displaced and was not what we had seen: somebody's edit, maybe with a newer one on its heels.

    What each exchange takes out must be what the one before put in. If it is not, it is a newer edit that we have just
    put aside, and it goes back in its turn: the newest edit ends up live.
    """
    if step.want is None:
        with contextlib.suppress(FileExistsError):  # written anew meanwhile: that is newer than what we hold
            _rename(staged, live)
        return
    placed = step.want_inode
    while True:
        held = staged.lstat()
        _exchange(live, staged)
        taken = staged.lstat()
        if held is None or taken is None or taken.st_ino == placed:
            return
        placed = held.st_ino


def _rename(source: Name, target: Name) -> None:
    libc.renameat2(source.name, target.name, libc.RENAME_NOREPLACE, source.directory, target.directory)


def _exchange(one: Name, other: Name) -> None:
    libc.renameat2(one.name, other.name, libc.RENAME_EXCHANGE, one.directory, other.directory)


def set_times(times: Iterable[tuple[bytes, int]]) -> None:
    """Set the modification times of directories whose entries were switched.

    One that is gone by now has none, and somebody else's (/tmp, without root) keeps what the switch gave it.
    """
    parents = Parents()
    try:
        for path, mtime_ns in times:
            try:
                name = parents.name(path)
                status = name.lstat()
                if status is not None:
                    os.utime(name.name, ns=(status.st_atime_ns, mtime_ns), dir_fd=name.directory, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (*GONE, errno.EPERM):
                    raise
    finally:
        parents.close()

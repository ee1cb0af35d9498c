"""What a view without root can record, and what it cannot (traps A14).

In a user namespace only the own user is known. Overlayfs copies a file's directories up with their owners, which
fails (EOVERFLOW) where one of them is somebody else's. So a layer must begin where this user may write: at a directory
that is theirs, or open to them, in one that is not. They are looked for near the top, and around named folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from backout.host.mounts import Mount, is_within
from backout.host.view import can_record

_DEPTH = 3
"""As deep as /srv/shop/venv and /var/www/site, below a mount's root."""
_DEPTH_IN_OPEN = 2
"""As deep as /tmp/somebody/ours, below a folder that is open to everybody."""


class Layout:
    """How a tree is taken apart: see `view.Split`. `visited` are the directories that no layer covers as such.

    `unlisted` are those of them that this user may enter, but not list.
    """

    def __init__(self, mounts: Sequence[Mount], near: Sequence[bytes]) -> None:
        """Look for what this user may write; `mounts` are the visible ones, `near` paths that the command will use."""
        self.visited: list[bytes] = []
        self.unlisted: list[bytes] = []
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._points = {mount.point for mount in mounts}
        storage = [mount.point for mount in mounts if can_record(mount)]
        found = [folder for point in storage for folder in self._below(point, _DEPTH)]
        found += [folder for path in near for folder in self._above(path)]
        self.writable = sorted(set(found))

    def folders(self, point: bytes) -> list[bytes]:
        """List a directory's directories, not through links; of one that is closed to this user, none."""
        if os.access(point, os.R_OK | os.X_OK):
            self.visited.append(point)
        elif os.access(point, os.X_OK):
            self.unlisted.append(point)
        return list(_folders(point))

    def _is_ours(self, folder: bytes) -> bool:
        try:
            return os.lstat(folder).st_uid == self._uid or os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            return False

    def _is_known(self, folder: bytes) -> bool:
        """Tell whether the kernel can copy a directory up: both its owners exist in our user namespace."""
        try:
            status = os.lstat(folder)
        except OSError:
            return False
        return (status.st_uid, status.st_gid) == (self._uid, self._gid)

    def _below(self, folder: bytes, depth: int, *, covered: bool = False) -> Iterator[bytes]:
        """Give the folders at which a layer must begin; `covered` tells that the one above can record this one."""
        if covered and self._is_known(folder):
            return
        if self._is_ours(folder):
            yield folder
            covered, depth = True, 0 if os.lstat(folder).st_uid == self._uid else _DEPTH_IN_OPEN
        else:
            covered = False
        if depth:
            for below in _folders(folder):
                if below not in self._points:
                    yield from self._below(below, depth - 1, covered=covered)

    def _above(self, path: bytes) -> Iterator[bytes]:
        """Give the folders on the way to a path, and just below it, at which a layer must begin."""
        folder, covered = b"/", False
        for part in [b"", *os.path.realpath(path).split(b"/")]:
            folder = os.path.join(folder, part)
            if not os.path.isdir(folder):
                return
            if covered and self._is_known(folder):
                continue
            covered = self._is_ours(folder)
            if covered:
                yield folder
        if not covered:
            yield from self._below(folder, _DEPTH_IN_OPEN)

    def limits(self, elsewhere: Sequence[bytes]) -> list[str]:
        """Say what a rehearsal without root is not."""
        sentences = [
            (
                "Rehearsed without root: sudo and setuid programs do not work, hard links are split, and what "
                'lies below directories of other owners can mostly not be changed ("Value too large").'
            )
        ]
        writable = [os.fsdecode(folder) for folder in self.visited if os.access(folder, os.W_OK)]
        if writable:
            sentences.append(f"What lies directly in {', '.join(writable)} could not be rehearsed: it was read-only.")
        if self.unlisted:
            names = ", ".join(os.fsdecode(folder) for folder in self.unlisted)
            sentences.append(f"Sockets in {names}, which this user may enter but not list, were those of the host.")
        if elsewhere:
            names = ", ".join(os.fsdecode(point) for point in elsewhere)
            sentences.append(
                f"Changes in {names} lie on another file system: they are copied, not renamed, into place."
            )
        return sentences


def _folders(folder: bytes) -> Iterator[bytes]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    yield from found


def near_folders(environ: dict[bytes, bytes], cwd: bytes) -> list[bytes]:
    """Name the paths that a command is likely to use."""
    named = [environ[name] for name in (b"HOME", b"TMPDIR", b"VIRTUAL_ENV") if environ.get(name)]
    return [path for path in [*named, cwd] if is_within(path, b"/")]

"""What a path is: its type, metadata and content, as a value."""

from __future__ import annotations

import base64
import os
from typing import Any, NamedTuple

from backout.model import shape

_OWNER_BITS = 32


class State(NamedTuple):
    """Everything about a path that backout promises to put back.

    `type` is one of file, dir, symlink, fifo, socket, char, block. `mode` holds the permission bits alone,
    `sha256` is set for files, `target` for symlinks, `rdev` is (major, minor) for devices. `xattrs` are sorted by
    name and never hold overlayfs' own. `mtime_ns` takes no part in effects or digests.
    """

    type: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    sha256: str | None = None
    target: bytes | None = None
    rdev: tuple[int, int] | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    mtime_ns: int = 0

    def timeless(self) -> State:
        """Give the same state without its time, to compare what matters."""
        return self._replace(mtime_ns=0)

    def document(self) -> dict[str, Any]:
        """Give the JSON form used in effects; without the time."""
        document: dict[str, Any] = {"type": self.type, "mode": f"{self.mode:04o}", "uid": self.uid, "gid": self.gid}
        if self.type == "file":
            document["size"] = self.size
            document["sha256"] = self.sha256
        if self.target is not None:
            document["target"] = os.fsdecode(self.target)
        if self.rdev is not None:
            document["rdev"] = list(self.rdev)
        if self.xattrs:
            document["xattrs"] = {os.fsdecode(name): base64.b64encode(value).decode() for name, value in self.xattrs}
        return document

    def packed(self) -> dict[str, Any]:
        """Give the form kept in plans: the document with the time in it."""
        return {**self.document(), "mtime_ns": self.mtime_ns}


def _owner(value: Any) -> bool:
    return shape.whole(value) and value < 1 << _OWNER_BITS


DOCUMENT = shape.fields(
    {
        "type": shape.one_of("file", "dir", "symlink", "fifo", "socket", "char", "block"),
        "mode": shape.like("[0-7]{4}"),
        "uid": _owner,
        "gid": _owner,
        "size": shape.whole,
        "sha256": shape.maybe(shape.like("[0-9a-f]*")),
        "target": shape.text,
        "rdev": shape.row(_owner, _owner),
        "xattrs": shape.mapping(shape.base64),
        "mtime_ns": shape.signed,
    },
    optional=("size", "sha256", "target", "rdev", "xattrs", "mtime_ns"),
    closed=True,
)
"""What a state must be like as JSON."""


def unpack(packed: Any) -> State | None:
    """Read back what `State.packed` gave; ValueError for anything else."""
    if packed is None:
        return None
    if not DOCUMENT(packed):
        raise ValueError("not a state")
    target = packed.get("target")
    rdev = packed.get("rdev")
    xattrs = packed.get("xattrs", {})
    return State(
        type=packed["type"],
        mode=int(packed["mode"], 8),
        uid=packed["uid"],
        gid=packed["gid"],
        size=packed.get("size", 0),
        sha256=packed.get("sha256"),
        target=None if target is None else os.fsencode(target),
        rdev=None if rdev is None else (rdev[0], rdev[1]),
        xattrs=tuple(sorted((os.fsencode(name), base64.b64decode(value)) for name, value in xattrs.items())),
        mtime_ns=packed.get("mtime_ns", 0),
    )

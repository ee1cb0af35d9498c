"""What a rehearsal without root gets wrong, so that it is refused with the reason (traps A14).

In the user namespace of such a view only the own user and group exist: what belongs to others cannot be copied up, and
the kernel answers EOVERFLOW where the host would have said yes.

Paths are looked at by name here: nobody gains by leading a user elsewhere who only looks, with no other's rights.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator, Sequence

from backout.host.mounts import holding, read, visible
from backout.host.scan import Scan
from backout.host.stage import Layer, layer_of

_OVERFLOW = b"Value too large for defined data type"
_WITH_ROOT = "run backout with sudo"


def obstacles(scanned: Scan, layers: Sequence[Layer], exit_code: int, output: bytes) -> list[str]:
    """Say in sentences what an ordinary user cannot have applied as rehearsed; nothing for root.

    `output` is what the command said: a failure that only the view causes is known by the kernel's words for it.
    """
    if os.geteuid() == 0:
        return []
    return [*_overflow(exit_code, output), *_elsewhere(scanned, layers), *_owners(scanned)]


def _overflow(exit_code: int, output: bytes) -> Iterator[str]:
    if exit_code != 0 and _OVERFLOW in output:
        yield (
            "Without root, a rehearsal cannot change what belongs to another user or group, nor write into folders of "
            f'theirs; the command met that ("{_OVERFLOW.decode()}"): {_WITH_ROOT}.'
        )


def _elsewhere(scanned: Scan, layers: Sequence[Layer]) -> Iterator[str]:
    """Name changes whose layer lies on another mount: nothing can be renamed from there."""
    mounts = visible(read())
    for layer in layers:
        stage, point = holding(mounts, os.path.realpath(layer.folder)), holding(mounts, layer.point)
        changed = [path for path in scanned.raw if layer_of(path, layers) is layer]
        if stage is not None and point is not None and stage.id != point.id and changed:
            yield (
                f"{os.fsdecode(changed[0])} lies on another file system than {os.fsdecode(layer.folder)}, and without "
                f"root nothing can be kept at {os.fsdecode(point.point)}: name a folder there with BACKOUT_STATE, or "
                f"{_WITH_ROOT}."
            )


def _owners(scanned: Scan) -> Iterator[str]:
    """Name what would get another group than the host gives it, and what belongs to somebody else."""
    for path, effect in scanned.raw.items():
        before, after = effect.before, effect.after
        if before is not None and after is not None and scanned.is_merged(path) and before.uid != os.geteuid():
            if (before.mode, before.xattrs) != (after.mode, after.xattrs):
                yield f"{os.fsdecode(path)} belongs to user {before.uid}, who alone can change its mode: {_WITH_ROOT}."
        elif before is None and after is not None and _gets_another_group(path, after.gid):
            yield f"{os.fsdecode(path)} would not get the group of the setgid folder that it lies in: {_WITH_ROOT}."


def _gets_another_group(path: bytes, gid: int) -> bool:
    try:
        folder = os.lstat(os.path.dirname(path))
    except OSError:
        return False  # the folder is new, too, and was named
    return bool(folder.st_mode & st.S_ISGID) and folder.st_gid != gid

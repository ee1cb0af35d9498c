"""Logs that the host went on writing while a command wrote to them, too: what of them is the command's."""

from __future__ import annotations

import os

from backout.host.scan import Scan
from backout.host.tree import Parents, open_file, sha256_of
from backout.lens.noise import APPEND, rule_for
from backout.model.effect import RawEffect

_CHUNK = 1 << 20


def part(scanned: Scan) -> None:
    """Give logs that moved on during a rehearsal the state from which both sides went on: where their bytes part.

    The live state would not do as the base: it holds the host's new lines, and of ours none.
    """
    for path in scanned.moved:
        effect, found = scanned.raw[path], scanned.found[path]
        if found.upper is not None and found.copied and _is_log(effect):
            size, sha256 = _common(path, found.upper)
            before = effect.before and effect.before._replace(size=size, sha256=sha256)
            scanned.raw[path] = effect._replace(before=before)


def _is_log(effect: RawEffect) -> bool:
    """Tell whether a rule would have a path's new end appended, had it grown."""
    before, after = effect.before, effect.after
    if before is None or after is None or before.type != "file" or after.type != "file":
        return False
    rule = rule_for(effect.path, before, after._replace(size=max(before.size, after.size) + 1, sha256=""))
    return rule is not None and rule.promotion == APPEND


def _common(live: bytes, upper: bytes) -> tuple[int, str]:
    """Give the size and the hash of what two logs begin with alike: whole lines, or all of ours."""
    one, other = _open(live), _open(upper)
    with open(one, "rb") as theirs, open(other, "rb") as ours:
        size = _alike(theirs.fileno(), ours.fileno())
        if size < os.fstat(ours.fileno()).st_size:
            size = _line_before(ours.fileno(), size)
        return size, sha256_of(ours.fileno(), size)


def _open(path: bytes) -> int:
    parents = Parents()
    try:
        return open_file(parents.name(path))
    finally:
        parents.close()


def _alike(one: int, other: int) -> int:
    size = 0
    while True:
        theirs, ours = os.pread(one, _CHUNK, size), os.pread(other, _CHUNK, size)
        parted = (at for at, (byte, our_byte) in enumerate(zip(theirs, ours)) if byte != our_byte)
        common = len(ours) if theirs == ours else next(parted, min(len(theirs), len(ours)))
        size += common
        if common < _CHUNK:
            return size


def _line_before(descriptor: int, size: int) -> int:
    """Give the end of the last whole line before a place."""
    while size > 0:
        start = max(0, size - _CHUNK)
        at = os.pread(descriptor, size - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        size = start
    return 0

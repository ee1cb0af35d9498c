"""What an effect is bound to: one hash over the bytes and the metadata that it claims, before and after.

Times, inode numbers and noise take no part, so that the same change has the same hash in every rehearsal and on
every host.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from backout.model.digest import canonical

if TYPE_CHECKING:
    from backout.model.effect import RawEffect
    from backout.model.state import State


def content_of(claimed: Iterable[RawEffect], records: Iterable[Any] = ()) -> str:
    """Hash the states of the claimed paths, and the records (JSON values) claimed out of shared files."""
    rows = sorted([os.fsdecode(raw.path), _row(raw.before), _row(raw.after)] for raw in claimed)
    return hashlib.sha256(canonical([rows, list(records)])).hexdigest()


def only_bytes_differ(raw: RawEffect) -> bool:
    """Tell whether a regular file stays one, and nothing but its bytes and times is different."""
    before, after = raw.before, raw.after
    if before is None or after is None or before.type != "file":
        return False
    return _metadata(before) == _metadata(after)


def _metadata(state: State) -> State:
    return state.timeless()._replace(size=0, sha256=None)


def _row(state: State | None) -> list[Any]:
    if state is None:
        return []
    body = state.sha256 if state.target is None else os.fsdecode(state.target)
    xattrs = [[os.fsdecode(name), value.hex()] for name, value in state.xattrs]
    return [state.type, f"{state.mode:04o}", state.uid, state.gid, body, list(state.rdev or ()), xattrs]

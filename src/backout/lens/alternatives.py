"""Debian's alternatives (update-alternatives(1)): links that a package's scripts make to what the package brings.

No package lists them. They are the package's own where all that they lead to, before and after, is: an alternative
that is switched from another package's program to this one's stays what it is, a link that leads elsewhere now.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from backout.model.effect import RawEffect

_CHOSEN = b"/etc/alternatives/"
_ADMIN = b"/var/lib/dpkg/alternatives/"


def claimed(raw: Mapping[bytes, RawEffect], listed: Mapping[str, Collection[bytes]]) -> dict[str, set[bytes]]:
    """Give the paths of each package's own alternatives; `listed` are the paths that each package brings."""
    owners = {path: subject for subject, paths in listed.items() for path in paths}
    chosen = {path: owner for path in raw if path.startswith(_CHOSEN) for owner in [_owner(raw[path], owners)] if owner}
    found: dict[str, set[bytes]] = {}
    for path, effect in raw.items():
        owner = chosen.get(path) or _owner(effect, chosen)
        if path.startswith(_ADMIN) and None in (effect.before, effect.after):
            owner = chosen.get(_CHOSEN + os.path.basename(path))
        if owner:
            found.setdefault(owner, set()).add(path)
    return found


def _owner(effect: RawEffect, owners: Mapping[bytes, str]) -> str | None:
    """Name the one owner of all that a link leads to, on either side; None when it is no link, or there are several."""
    sides = [side for side in (effect.before, effect.after) if side is not None]
    found = {owners.get(side.target or b"") if side.type == "symlink" else None for side in sides}
    return found.pop() if len(found) == 1 else None

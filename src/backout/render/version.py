"""How far a version moves: what a report highlights, and the order in which it names packages."""

from __future__ import annotations

import re
from typing import NamedTuple

ADDED, REMOVED, MAJOR, MINOR, SAME = "added", "removed", "major", "minor", "same"
_RELEASE = re.compile(r"(?:\d+[!:])?v?(\d+(?:\.\d+)*)")
_FIRST_YEAR = 1990


class Jump(NamedTuple):
    """What kind of move it is, and by how many majors (0 for all kinds but major)."""

    kind: str
    majors: int = 0

    @property
    def reach(self) -> tuple[int, int]:
        """Sort key: what is most likely to break something comes first."""
        return (REMOVED, MAJOR, ADDED, MINOR, SAME).index(self.kind), -self.majors


def jump(before: str | None, after: str | None) -> Jump:
    """Classify a move, up or down.

    Major is a change of the first number, or of the second behind a 0 (semver.org, item 4), except where the first
    number is a year. An epoch (PEP 440, Debian policy 5.6.12) is not part of the release.
    """
    if before is None or after is None:
        return Jump(SAME if before == after else ADDED if before is None else REMOVED)
    old, new = _release(before), _release(after)
    if not old or not new or old == new:
        return Jump(SAME if before == after else MINOR)
    if old[0] != new[0]:
        return Jump(MINOR) if min(old[0], new[0]) >= _FIRST_YEAR else Jump(MAJOR, abs(new[0] - old[0]))
    if old[0] == 0 and old[1:2] != new[1:2]:
        return Jump(MAJOR, 0)
    return Jump(MINOR)


def _release(version: str) -> tuple[int, ...]:
    found = _RELEASE.match(version)
    return tuple(int(number) for number in found[1].split(".")) if found else ()

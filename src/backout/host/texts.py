"""Small text files as a change leaves them: what lies in its stage over what is live, links on the way followed."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Mapping, Sequence

from backout.host.plan import Plan
from backout.model.step import Meta, Service, Step, Switch, Write

LONGEST_BYTES = 1 << 20
"""A file that is longer is none that a person wrote."""
_MOST_LINKS = 40
"""As many as the kernel follows (path_resolution(7))."""


def texts(plan: Plan, paths: Sequence[str]) -> dict[str, str | None]:
    """Read files; None where there is none, it is no file, too long, or may not be read. What is no UTF-8 is marked."""
    steps = {step.path: step for step in plan.steps if not isinstance(step, (Service, Meta))}
    return {path: _text(steps, os.fsencode(path)) for path in paths}


def _text(steps: Mapping[bytes, Step], path: bytes) -> str | None:
    try:
        place = _resolved(steps, path)
        if not place or not st.S_ISREG(os.lstat(place).st_mode):
            return None
        with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(LONGEST_BYTES + 1)
    except OSError:
        return None
    return data.decode(errors="replace") if len(data) <= LONGEST_BYTES else None


def _resolved(steps: Mapping[bytes, Step], path: bytes) -> bytes | None:
    """Give where the content of a path lies; None where the change leaves nothing there, or links lead in a circle."""
    left, links = _parts(path), 0
    way = [(b"", b"")]  # each folder: as the path is spelt, and where it lies
    while left:
        part = left.pop(0)
        if part == b"..":
            del way[max(1, len(way) - 1) :]
            continue
        logical, place = way[-1][0] + b"/" + part, way[-1][1] + b"/" + part
        if logical in steps:
            place = _side(steps[logical])
        if not os.path.lexists(place):
            return None
        if not os.path.islink(place):
            way.append((logical, place))
            continue
        target, links = os.readlink(place), links + 1
        if links > _MOST_LINKS:
            return None
        left = [*_parts(target), *left]
        way = way[:1] if target.startswith(b"/") else way
    return way[-1][1]


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def _side(step: Step) -> bytes:
    """Give where what a step brings lies; an empty path where it brings nothing."""
    if isinstance(step, Switch):
        return step.staged if step.want is not None else b""
    assert isinstance(step, Write)  # noqa: S101 - no other has content
    return step.after_copy

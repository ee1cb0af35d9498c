"""Steps: reversible acts on a host, as values. Undoing swaps what must be true before with what is true after."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Union

from backout.model import shape
from backout.model.state import DOCUMENT, State, unpack

SWITCH, WRITE, META, SERVICE = "switch", "write", "meta", "service"


class Switch(NamedTuple):
    """Exchange `path` with what lies in the stage at `staged`; the displaced inode is the pre-image.

    `expect` is what is at `path` before, `want` after; None means that nothing is there, and then the switch is a
    rename that refuses to overwrite. A directory is switched with all that is in it.
    `expect_inode` and `want_inode` are the inode numbers by which recovery sees which side is live.
    """

    path: bytes
    staged: bytes
    expect: State | None
    want: State | None
    expect_inode: int | None = None
    want_inode: int | None = None


class Write(NamedTuple):
    """Write content and metadata in place, because the inode must stay (other hard-link names, single-file mounts).

    `before_copy` and `after_copy` are durable copies in the stage.
    """

    path: bytes
    before_copy: bytes
    after_copy: bytes
    expect: State
    want: State


class Meta(NamedTuple):
    """Set mode, owner and extended attributes in place.

    Of a directory, whose content is other steps' business, or of a link, pipe or device that has other names.
    """

    path: bytes
    expect: State
    want: State


class Service(NamedTuple):
    """Carry out requests to the service manager; at least once.

    `requests` are "action" words in order; `expect` and `want` are {enabled, active} as recorded before, as wanted
    after.
    """

    unit: str
    requests: tuple[str, ...]
    expect: dict[str, Any]
    want: dict[str, Any]
    undoing: bool = False


Step = Union[Switch, Write, Meta, Service]


def undo(step: Step) -> Step:
    """Give the step that takes this one back."""
    if isinstance(step, Switch):
        return step._replace(
            expect=step.want, want=step.expect, expect_inode=step.want_inode, want_inode=step.expect_inode
        )
    if isinstance(step, Write):
        return step._replace(
            expect=step.want, want=step.expect, before_copy=step.after_copy, after_copy=step.before_copy
        )
    if isinstance(step, Meta):
        return step._replace(expect=step.want, want=step.expect)
    return step._replace(expect=step.want, want=step.expect, undoing=not step.undoing)


def pack_step(step: Step) -> dict[str, Any]:
    """Give the JSON form kept in a change's plan."""
    if isinstance(step, Service):
        return {"step": SERVICE, **step._asdict(), "requests": list(step.requests)}
    packed: dict[str, Any] = {"step": {Switch: SWITCH, Write: WRITE, Meta: META}[type(step)]}
    for name, value in step._asdict().items():
        if isinstance(value, State):
            packed[name] = value.packed()
        else:
            packed[name] = os.fsdecode(value) if isinstance(value, bytes) else value
    return packed


_STATE, _INODE = shape.maybe(DOCUMENT), shape.maybe(shape.whole)
_KNOWN = shape.fields(
    dict.fromkeys(("enabled", "active"), shape.maybe(shape.truth)), optional=("enabled", "active"), closed=True
)
_SHAPES = {
    SWITCH: {
        **dict.fromkeys(("path", "staged"), shape.path),
        **dict.fromkeys(("expect", "want"), _STATE),
        **dict.fromkeys(("expect_inode", "want_inode"), _INODE),
    },
    WRITE: {
        **dict.fromkeys(("path", "before_copy", "after_copy"), shape.path),
        **dict.fromkeys(("expect", "want"), DOCUMENT),
    },
    META: {"path": shape.path, **dict.fromkeys(("expect", "want"), DOCUMENT)},
    SERVICE: {
        "unit": shape.like(r"(?:[^\s/-][^\s/]*)?"),
        "requests": shape.many(shape.like(r"[a-z][a-z0-9-]*(?::[A-Za-z0-9+-]+)?")),
        **dict.fromkeys(("expect", "want"), _KNOWN),
        "undoing": shape.truth,
    },
}


def _is_step(packed: Any) -> bool:
    if not isinstance(packed, dict) or not isinstance(packed.get("step"), str) or packed["step"] not in _SHAPES:
        return False
    shapes = {"step": shape.text, **_SHAPES[packed["step"]]}
    return shape.fields(shapes, optional=("undoing",), closed=True)(packed)


def unpack_step(packed: Any) -> Step:
    """Read back what `pack_step` gave; ValueError for anything else."""
    if not _is_step(packed):
        raise ValueError("not a step")
    fields = {name: value for name, value in packed.items() if name != "step"}
    if packed["step"] == SERVICE:
        return Service(**{**fields, "requests": tuple(fields["requests"])})
    for name, value in fields.items():
        if name in ("expect", "want"):
            fields[name] = unpack(value)
        elif isinstance(value, str):
            fields[name] = os.fsencode(value)
    kind: Any = {SWITCH: Switch, WRITE: Write, META: Meta}[packed["step"]]
    step: Step = kind(**fields)
    return step

"""Effects: what a command makes different, as raw paths and as meaning."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.check import RESULT
from backout.model.state import DOCUMENT as STATE
from backout.model.state import State

KINDS = ("file", "python-package", "debian-package", "service", "user", "group", "cron", "config")
"""Every kind of effect that a selector may name."""


_EFFECT = {
    **dict.fromkeys(("kind", "subject", "op"), shape.text),
    "paths": shape.many(shape.text),
    **dict.fromkeys(("reversible", "predicted", "reproducible"), shape.truth),
    "expected": shape.maybe(shape.truth),
    **dict.fromkeys(("content", "diff"), shape.maybe(shape.text)),
}
_VALUE = shape.maybe(
    shape.fields({"requests": shape.many(shape.text), "version": shape.text}, optional=("requests", "version"))
)
_SIDES = {
    "file": shape.maybe(STATE),
    "service": _VALUE,
    "python-package": shape.maybe(shape.text),
    "debian-package": shape.maybe(shape.text),
}


def _is_effect(value: Any) -> bool:
    if not isinstance(value, dict) or not text_fields(value, ("kind", "subject", "op")):
        return False
    sides = dict.fromkeys(("before", "after"), _SIDES.get(value["kind"], shape.anything))
    return shape.fields({**_EFFECT, **sides}, optional=("reproducible", "diff"))(value)


def text_fields(value: dict[str, Any], names: Collection[str]) -> bool:
    """Tell whether all of these fields are there, and text."""
    return all(shape.text(value.get(name)) for name in names)


_REASON = shape.fields(dict.fromkeys(("what", "state", "next"), shape.text))
DOCUMENT = shape.fields(
    {
        "schema": shape.one_of("backout.effects/1"),
        **dict.fromkeys(("change", "environment"), shape.maybe(shape.text)),
        **dict.fromkeys(("host", "cwd", "started_at", "base", "digest"), shape.text),
        "command": lambda value: shape.many(shape.text)(value) and len(value) > 0,
        "exit_code": shape.signed,
        "duration_s": shape.number,
        "effects": shape.many(_is_effect),
        "noise": shape.many(shape.fields(dict.fromkeys(("rule", "path", "op", "promotion"), shape.text))),
        "limits": shape.many(shape.text),
        "checks": shape.many(RESULT),
        "verdict": shape.fields({"decision": shape.one_of("allow", "ask", "refuse"), "reasons": shape.many(_REASON)}),
    }
)
"""What a `backout.effects/1` document must be like before it is drawn or compared; its schema says more."""


class RawEffect(NamedTuple):
    """One path of the upper layer: what it was at the base, what it is in the view (None: not there)."""

    path: bytes
    before: State | None
    after: State | None

    def op(self) -> str:
        """Give added, removed or edited."""
        return operation(self.before, self.after)


class Effect(NamedTuple):
    """One difference that a command makes, in the words of the design's table of kinds.

    `before` and `after` are JSON values (None: was not, will not be there); `content` hashes the claimed bytes and
    metadata, so that two effects with equal words but other bits differ; `paths` are the paths claimed.
    `reproducible` tells whether a second rehearsal gave the same; None where there was none.
    """

    kind: str
    subject: str
    op: str
    before: Any
    after: Any
    content: str | None = None
    paths: tuple[bytes, ...] = ()
    reversible: bool = True
    predicted: bool = False
    diff: str | None = None
    expected: bool | None = None
    reproducible: bool | None = None

    def document(self) -> dict[str, Any]:
        """Give the JSON form of `backout.effects/1`."""
        document = self._asdict()
        document["paths"] = [os.fsdecode(path) for path in self.paths]
        for optional in ("diff", "reproducible"):
            if document[optional] is None:
                del document[optional]
        return document


class Noise(NamedTuple):
    """A path that a named rule folds away: counted, never hidden.

    `promotion` says what the apply does with it: promote (like any path), yield (unless the host
    has a newer one), append (only our suffix), never.
    """

    rule: str
    path: bytes
    op: str
    promotion: str = "promote"

    def document(self) -> dict[str, Any]:
        """Give the JSON form of `backout.effects/1`."""
        return {"rule": self.rule, "path": os.fsdecode(self.path), "op": self.op, "promotion": self.promotion}


def operation(before: Any, after: Any) -> str:
    """Name the difference between two states: added, removed or edited."""
    if before is None:
        return "added"
    return "removed" if after is None else "edited"


def effect_from(document: dict[str, Any]) -> Effect:
    """Read back what `Effect.document` gave."""
    known = {name: document[name] for name in Effect._fields if name in document}
    known["paths"] = tuple(os.fsencode(path) for path in document.get("paths", ()))
    return Effect(**known)


def file_effect(raw: RawEffect, diff: str | None = None) -> Effect:
    """Give the plain `file` effect of a path that no lens explains."""
    return Effect(
        kind="file",
        subject=os.fsdecode(raw.path),
        op=raw.op(),
        before=None if raw.before is None else raw.before.document(),
        after=None if raw.after is None else raw.after.document(),
        paths=(raw.path,),
        diff=diff,
    )


def order(effects: list[Effect]) -> list[Effect]:
    """Sort effects as documents list them: by kind in the order of `KINDS`, then by subject."""
    return sorted(
        effects,
        key=lambda effect: (
            KINDS.index(effect.kind) if effect.kind in KINDS else len(KINDS),
            effect.kind,
            effect.subject,
        ),
    )

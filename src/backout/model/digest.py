"""The digest: one hash that names an effect set, equal across rehearsals and hosts."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a note needs `canonical` alone, and is to feel instant
    from backout.model.effect import Effect

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
"""Made once: json.dumps would make one for each of 100,000 values."""


def canonical(value: Any) -> bytes:
    """Write a JSON value in the one form that is hashed: sorted keys, no spaces, ASCII."""
    return _ENCODER.encode(value).encode()


def digest(effects: Iterable[Effect]) -> str:
    """Hash (kind, subject, op, before, after, content) of all effects, before redaction; order does not matter."""
    hashed, lead = hashlib.sha256(), b""
    for _, alike in itertools.groupby(sorted(effects, key=_beginning), _beginning):
        for row in sorted(map(_row, alike)):
            hashed.update(lead + row)
            lead = b"\n"
    return "sha256:" + hashed.hexdigest()


def _row(effect: Effect) -> bytes:
    return canonical([effect.kind, effect.subject, effect.op, effect.before, effect.after, effect.content])


def _beginning(effect: Effect) -> str:
    """Give how an effect's row begins, by which rows are sorted nearly always: of 100,000, the rest would weigh."""
    return f"{json.dumps(effect.kind)},{json.dumps(effect.subject)},"

"""The digest: one hash that names an effect set, equal across rehearsals and hosts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from backout.model.effect import Effect


def canonical(value: Any) -> bytes:
    """Write a JSON value in the one form that is hashed: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def digest(effects: Iterable[Effect]) -> str:
    """Hash (kind, subject, op, before, after, content) of all effects, before redaction; order does not matter."""
    rows = sorted(canonical([e.kind, e.subject, e.op, e.before, e.after, e.content]) for e in effects)
    return "sha256:" + hashlib.sha256(b"\n".join(rows)).hexdigest()

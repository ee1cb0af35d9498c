"""JSON text piece by piece: what holds a row for each of 100,000 paths is never in memory as one text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"))
"""Made once: json.dumps would make one for each row."""


def text(value: Any) -> bytes:
    """Write a JSON value without spaces."""
    return _ENCODER.encode(value).encode()


def array(rows: Iterable[Any]) -> Iterator[bytes]:
    """Write a JSON array, a row at a time."""
    lead = b"["
    for row in rows:
        yield lead + text(row)
        lead = b","
    yield b"[]" if lead == b"[" else b"]"


def document(value: Mapping[str, Any], long: str) -> Iterator[bytes]:
    """Write a JSON object whose member `long`, if it has it, is any iterable of JSON values; it comes last."""
    rest = {name: member for name, member in value.items() if name != long}
    if long not in value:
        yield text(rest)
        return
    yield text(rest)[:-1] + (b"," if rest else b"") + text(long) + b":"
    yield from array(value[long])
    yield b"}"

"""JSON text piece by piece is the same JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backout.model import pieces


@pytest.mark.parametrize("rows", [[], [1], [{"a": "é\udc80"}, None, [2]]])
def test_an_array_in_pieces_reads_as_the_array(rows: list[Any]) -> None:
    """Also an empty one, and one with a name that is no UTF-8."""
    assert json.loads(b"".join(pieces.array(iter(rows)))) == rows


@pytest.mark.parametrize("value", [{}, {"a": 1}, {"a": 1, "rows": [], "z": 2}, {"rows": [1, {"b": 2}]}])
def test_an_object_in_pieces_reads_as_the_object(value: dict[str, Any]) -> None:
    """Whether it has the long member, and whether it has another."""
    streamed = {name: iter(member) if name == "rows" else member for name, member in value.items()}
    assert json.loads(b"".join(pieces.document(streamed, "rows"))) == value

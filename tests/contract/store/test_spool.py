"""What is told once and not kept: the same facts come out, however many, and as often as they are walked."""

from __future__ import annotations

import pytest

from backout.model.fact import Fact
from backout.store import spool as spooling
from backout.store.spool import Spool


@pytest.mark.parametrize("in_memory", [0, 1, 1 << 20])
def test_facts_come_out_as_they_went_in(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    """Also names that are no text, values of any kind, and where they no longer fit into memory."""
    monkeypatch.setattr(spooling, "_IN_MEMORY_BYTES", in_memory)
    facts = [
        Fact("file", f"/srv/\udcff{number}", {"size": number, "target": None, "list": [1.5]}) for number in range(99)
    ]
    spool = Spool()
    assert list(spool) == []
    spool.take(facts[:1])
    spool.take([])
    spool.take(facts[1:])
    assert list(spool) == list(spool) == facts

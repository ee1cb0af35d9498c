"""What a change did is in the journal as it was told, whatever it was, and however much."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.errors import FailedError
from backout.flow.documents import EFFECTS, Documents, keep
from backout.model.effect import Effect
from backout.store.sqlite import SqliteJournal
from kit.values import HASHES, PATHS, effect, states

SIDES = st.none() | st.text(max_size=9) | states().map(lambda state: state.document())
EFFECTS_OF_ANY_KIND = st.tuples(
    st.sampled_from(["file", "python-package", "service", "config"]),
    PATHS.map(lambda path: path.decode("utf-8", "surrogateescape")),
    st.sampled_from(["added", "removed", "edited", "requested"]),
    SIDES,
    SIDES,
    st.none() | HASHES,
).map(lambda fields: Effect(*fields))


def document(effects: list[Effect], change: str = "one") -> dict[str, Any]:
    """As much of an effects document as is kept of it."""
    rows = [one.document() for one in effects]
    return {"host": "web1", "change": change, "started_at": "2026-11-23T17:04:12.000+00:00", "effects": rows}


@settings(max_examples=30, deadline=None)
@given(st.lists(EFFECTS_OF_ANY_KIND, max_size=5))
def test_what_is_kept_is_what_was_told(effects: list[Effect]) -> None:
    """A guard judges by it: what came back otherwise would be let through, or refused, for nothing."""
    with tempfile.TemporaryDirectory() as folder, SqliteJournal(Path(folder) / "journal.db") as journal:
        keep(journal, document(effects))
        found = Documents(journal).of("web1", "one")
        assert found is not None
        assert [one.document() for one in found] == json.loads(json.dumps([one.document() for one in effects]))
        journal.verify()


def test_very_many_effects_are_kept_in_parts_and_equal_ones_once(tmp_path: Path) -> None:
    """What a hundred thousand files make fits into memory part by part; two hosts alike take the room of one."""
    effects = [effect(f"file:/srv/{number}") for number in range(10_000)]
    with SqliteJournal(tmp_path / "journal.db") as journal:
        first, second = keep(journal, document(effects)), keep(journal, document(effects, "two"))
        assert (len(first), first) == (3, second)
        found = Documents(journal).of("web1", "two")
        assert found is not None
        assert [one.subject for one in found] == [one.subject for one in effects]


def test_what_is_not_known_is_none_and_what_was_lost_is_said(tmp_path: Path) -> None:
    """Nothing known must never look like nothing done."""
    with SqliteJournal(tmp_path / "journal.db") as journal:
        keep(journal, document([]))
        journal.append(at=0, actor="web1", type=EFFECTS, body={"host": "web1", "change": "lost", "parts": ["0" * 64]})
        known = Documents(journal)
        assert known.of("web1", "two") is None
        assert known.of("web2", "one") is None
        assert list(known.of("web1", "one") or [None]) == []
        with pytest.raises(FailedError, match="has no content"):
            list(known.of("web1", "lost") or ())

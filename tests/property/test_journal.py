"""Whatever is told in whatever portions, the journal holds each entry once, unchanged, in one unbroken chain."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backout.store import SqliteJournal

TEXT = st.text(st.characters(codec=None))  # surrogates too: bytes that are no characters arrive as such
BODY = st.dictionaries(TEXT, st.recursive(st.none() | st.booleans() | st.integers() | TEXT, st.lists, max_leaves=5))
ENTRY = st.fixed_dictionaries(
    {
        "format": st.just(1),
        "host": st.sampled_from(["web1", "web2"]),
        "change": st.sampled_from(["c1", "c2"]),
        "seq": st.integers(1, 4),
        "prev": st.just(""),
        "kind": st.just("kept"),
        "at": st.floats(0, 2e9) | st.integers(0, 2**31),
        "body": BODY,
    }
)


@settings(max_examples=40, deadline=None)
@given(portions=st.lists(st.lists(ENTRY, max_size=4), max_size=4), typed=TEXT)
def test_each_entry_is_kept_once_as_it_was_first_told(portions: list[list[dict[str, Any]]], typed: str) -> None:
    """Law 6: a host that tells its ledger again, or a host that lies later, changes nothing that was recorded."""
    first: dict[tuple[str, str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, SqliteJournal(Path(folder) / "journal.db") as journal:
        for portion in portions:
            journal.learn(portion)
            for entry in portion:
                first.setdefault((entry["host"], entry["change"], entry["seq"]), entry)
        assert journal.entries() == list(first.values())
        journal.verify()
        journal.search(typed)

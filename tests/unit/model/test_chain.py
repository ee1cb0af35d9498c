"""The hash chain by which a ledger and a journal show that nothing was taken out of them (law 6)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from backout.model.chain import GENESIS, link_hash
from backout.model.digest import canonical

ENTRY = {"seq": 1, "prev": GENESIS, "kind": "kept", "at": 1.5, "body": {"who": "ada", "why": "four workers"}}


def test_the_hash_of_an_entry_is_that_of_its_line_as_it_is_written() -> None:
    """Anybody can then verify a ledger with sha256sum, without this program (FORMATS.md)."""
    assert link_hash(ENTRY) == hashlib.sha256(canonical(ENTRY)).hexdigest()
    assert len(GENESIS) == len(link_hash(ENTRY))


@pytest.mark.parametrize(
    "changed",
    [{"seq": 2}, {"prev": "1" * 64}, {"kind": "undone"}, {"at": 1.6}, {"body": {"who": "eve", "why": "four workers"}}],
    ids=lambda changed: next(iter(changed)),
)
def test_an_entry_that_was_changed_in_any_field_breaks_the_chain(changed: dict[str, Any]) -> None:
    """The record only grows: who rewrites it must rewrite every line that follows. Its own `prev` is what links it."""
    assert link_hash({**ENTRY, **changed}) != link_hash(ENTRY)


def test_the_order_in_which_an_entry_is_held_in_memory_is_nothing_to_the_chain() -> None:
    """An entry that was read back, by whatever reader, must still be the one that was written."""
    assert link_hash(dict(reversed(list(ENTRY.items())))) == link_hash(ENTRY)

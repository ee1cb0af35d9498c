"""The fold: where each change stands, told from the ledger's entries alone (law 5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.chain import GENESIS
from backout.model.ledger import (
    APPLIED,
    EXPIRED,
    FORMAT,
    KEPT,
    PREPARED,
    REFUSED,
    UNDOING,
    UNDONE,
    Change,
    LedgerEntry,
    fold,
    unfinished,
)

Line = tuple[str, str, dict[str, Any]]
KEPT_WHOLE = (PREPARED, APPLIED, KEPT)


def standing(changes: list[Change]) -> list[Change]:
    """Those that could be taken back, newest first: what `back` walks."""
    return [change for change in reversed(changes) if change.stands]


def entries(*lines: Line) -> list[LedgerEntry]:
    """A ledger with these lines: (change, kind, body)."""
    return [
        LedgerEntry(FORMAT, "web1", change, seq, GENESIS, kind, float(seq), body)
        for seq, (change, kind, body) in enumerate(lines, 1)
    ]


def lines(change: str, *kinds: str, **body: Any) -> list[Line]:
    """A change's lines, with the body in the first of them."""
    return [(change, kind, {} if number else body) for number, kind in enumerate(kinds)]


def folded(*told: Line) -> dict[str, Change]:
    """Where each change stands, by its id."""
    return {change.id: change for change in fold(entries(*told))}


@pytest.mark.parametrize(
    ("kinds", "state", "stands", "is_unfinished"),
    [
        ((PREPARED,), PREPARED, False, True),
        ((PREPARED, APPLIED), APPLIED, False, True),
        ((PREPARED, APPLIED, KEPT), KEPT, True, False),
        ((PREPARED, UNDONE), UNDONE, False, False),
        ((PREPARED, APPLIED, UNDOING), UNDOING, False, True),
        ((PREPARED, APPLIED, UNDOING, UNDONE), UNDONE, False, False),
        ((PREPARED, APPLIED, UNDOING, APPLIED), APPLIED, False, True),
        ((PREPARED, APPLIED, UNDOING, APPLIED, KEPT), KEPT, True, False),
        ((REFUSED,), REFUSED, False, False),
        ((REFUSED, EXPIRED), REFUSED, False, False),
        ((PREPARED, APPLIED, KEPT, EXPIRED), KEPT, False, False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_a_change_stands_where_its_last_entry_says(
    kinds: tuple[str, ...], state: str, stands: bool, is_unfinished: bool
) -> None:
    """After a crash the ledger is all there is: recovery takes up what this calls unfinished, `back` what stands."""
    change = folded(*lines("a", *kinds))["a"]
    assert (change.state, change.stands) == (state, stands)
    assert unfinished([change]) == ([change] if is_unfinished else [])
    assert standing([change]) == ([change] if stands else [])


def test_a_change_that_could_not_be_backed_out_stands_and_says_why() -> None:
    """Somebody edited what it left: it is kept whole, and `back` must still be able to take it back."""
    stuck = folded(*lines("a", PREPARED, APPLIED, UNDOING, APPLIED), ("a", KEPT, {"stuck": "/etc/x was edited"}))["a"]
    assert stuck.stands
    assert stuck.body["stuck"] == "/etc/x was edited"


def test_what_later_entries_say_is_added_to_what_is_known_of_a_change() -> None:
    """Who and why are in its first entry, the barrier in the second; a back-out needs both, and the newest barrier."""
    told = [*lines("a", PREPARED, who="ada"), ("a", APPLIED, {"barrier_ns": 1}), *lines("a", UNDOING)]
    change = folded(*told, ("a", APPLIED, {"barrier_ns": 2}))["a"]
    assert change.body == {"who": "ada", "barrier_ns": 2}
    assert (change.at, change.host) == (1.0, "web1"), "when it began, not when it was last heard of"


def test_a_change_that_was_taken_back_names_what_took_it_back_and_neither_stands() -> None:
    """`back` skips those taken back already, and the back-outs themselves; redo is another command."""
    changes = folded(*lines("a", *KEPT_WHOLE), *lines("b", *KEPT_WHOLE, undoes="a"))
    assert (changes["a"].undone_by, changes["a"].stands) == ("b", False)
    assert (changes["b"].undoes, changes["b"].undone_by, changes["b"].stands) == ("a", None, False)


@pytest.mark.parametrize("kinds", [(PREPARED,), (PREPARED, APPLIED), (PREPARED, UNDONE), (PREPARED, APPLIED, UNDOING)])
def test_a_change_stands_until_the_one_that_takes_it_back_is_kept(kinds: tuple[str, ...]) -> None:
    """A back-out that crashed and was undone took nothing back; its change must not be lost to `back`."""
    change = folded(*lines("a", *KEPT_WHOLE), *lines("b", *kinds, undoes="a"))["a"]
    assert change.stands
    assert change.undone_by is None


def test_a_back_out_of_a_change_that_is_not_in_this_ledger_is_no_error() -> None:
    """A ledger of which damage was cut off must still be read."""
    assert list(folded(*lines("b", *KEPT_WHOLE, undoes="gone"))) == ["b"]


def test_a_repetition_stands_beside_the_change_that_it_repeats() -> None:
    """Redo is a change of its own: it can be taken back, and the first stays taken back."""
    told = [*lines("a", *KEPT_WHOLE), *lines("b", *KEPT_WHOLE, undoes="a"), *lines("c", *KEPT_WHOLE, redoes="a")]
    assert [change.id for change in standing(fold(entries(*told)))] == ["c"]


def test_what_gc_let_go_keeps_its_state_and_its_story() -> None:
    """The record only grows (law 6): its bits are gone, but who did it and what became of it is not."""
    change = folded(*lines("a", *KEPT_WHOLE, who="ada"), ("a", EXPIRED, {"size_bytes": 9}))["a"]
    assert (change.state, change.expired, change.body) == (KEPT, True, {"who": "ada"})


def test_changes_are_told_oldest_first_and_walked_newest_first() -> None:
    """Taking back an older change before a newer one would put back files under it."""
    told = [
        *lines("a", PREPARED),
        *lines("b", *KEPT_WHOLE),
        *lines("c", *KEPT_WHOLE),
        ("a", APPLIED, {}),
        ("a", KEPT, {}),
    ]
    changes = fold(entries(*told))
    assert [change.id for change in changes] == ["a", "b", "c"]
    assert [change.id for change in standing(changes)] == ["c", "b", "a"]


@given(st.data())
def test_entries_of_other_changes_between_those_of_one_are_nothing_to_it(data: st.DataObject) -> None:
    """Two people at work write into one ledger; each change is its own story."""
    stories = {
        "a": lines("a", PREPARED, APPLIED, UNDOING, UNDONE, who="ada"),
        "b": lines("b", *KEPT_WHOLE, who="bob"),
        "c": lines("c", REFUSED, EXPIRED, who="cy"),
    }
    alone = {name: folded(*story)[name]._replace(at=0) for name, story in stories.items()}
    turns = data.draw(st.permutations([name for name, story in stories.items() for _ in story]))
    rest = {name: iter(story) for name, story in stories.items()}
    mixed = folded(*(next(rest[name]) for name in turns))
    assert {name: change._replace(at=0) for name, change in mixed.items()} == alone


def test_drift_that_was_adopted_does_not_stand() -> None:
    """Law 6: it is on record; but nobody kept what was there before, so `back` must go past it."""
    changes = fold(entries(*lines("ours", *KEPT_WHOLE), *lines("found", *KEPT_WHOLE, adopted=True)))
    assert [change.state for change in changes] == [KEPT, KEPT]
    assert [change.id for change in standing(changes)] == ["ours"]

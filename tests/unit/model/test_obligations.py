"""What reviews promised is told when the day is over, and only then; it stays told until somebody does something."""

from __future__ import annotations

from datetime import date

import pytest

from backout.model.guard import Guard
from backout.model.obligations import obligations, to_review
from backout.model.proof import Proof
from backout.model.recurrence import Today
from backout.model.review import CLOSED, Review

DUE = date(2026, 12, 13)
DAY_AFTER = date(2026, 12, 14)
TABLE = {"name": "stays", "rule": "max-jump"}


def review(proof: str, due: str = "2026-12-13") -> Review:
    """A review with one action that stands on this."""
    said = f"- proof: {proof}\n" if proof else ""
    text = f"## Actions\n### A1 Refuse a jump of setuptools\n- owner: Anna\n- due: {due}\n{said}"
    return Review("i1", CLOSED, text, 7, 0.0, "anna")


def proof(*, held: bool, name: str = "stays", why: str = "It refuses c1.") -> Proof:
    """What came of trying a guard."""
    return Proof("i1", "guard", name, "c1", "c2", held, why, {}, TABLE, 0.0, 8)


def tried(*proofs: Proof) -> dict[tuple[str, str, str], tuple[Proof, ...]]:
    """All that was tried, by what it is of."""
    found: dict[tuple[str, str, str], tuple[Proof, ...]] = {}
    for one in proofs:
        found[one.key] = (*found.get(one.key, ()), one)
    return found


@pytest.mark.parametrize(
    ("stands_on", "sort", "told"),
    [
        ("", "overdue", "A1 of i1 was due on 2026-12-13 and has no proof (Anna): Refuse a jump of setuptools"),
        ("guard stays", "overdue", "A1 of i1 was due on 2026-12-13 and is not proven by guard stays (Anna): Refuse"),
        ("accepted by Ben until 2026-12-13", "ran out", "A1 of i1 was accepted by Ben until 2026-12-13: Refuse"),
        ("handed to Ben by 2026-12-13", "not handed over", "A1 of i1 was to be done by Ben, by 2026-12-13: Refuse"),
    ],
)
def test_what_was_to_be_done_by_a_day_is_told_when_it_is_over(stands_on: str, sort: str, told: str) -> None:
    """On the day itself there is still time."""
    assert obligations([review(stands_on)], {}, {}, DUE) == []
    (one,) = obligations([review(stands_on)], {}, {}, DAY_AFTER)
    assert (one.sort, one.incident, one.action, one.since) == (sort, "i1", "A1", DUE)
    assert one.what.startswith(told)
    assert one.next.startswith("backout review")


def test_what_is_proven_is_never_overdue_and_one_that_never_held_is_no_proof() -> None:
    """The day of an action is the day by which it is proven."""
    assert obligations([review("guard stays")], tried(proof(held=True)), {}, DAY_AFTER) == []
    (one,) = obligations([review("guard stays")], tried(proof(held=False)), {}, DAY_AFTER)
    assert one.sort == "overdue"


def test_a_proof_that_turned_red_and_one_that_is_gone_are_told_at_once() -> None:
    """They hold nothing back any more, and no day will tell."""
    history = tried(proof(held=True), proof(held=False, why="It lets the bad change c1 through."))
    (red,) = obligations([review("guard stays")], history, {"i1": Today({"stays"})}, DUE)
    assert (red.sort, red.since) == ("red", None)
    assert red.what == "Guard stays, which proved A1 of i1, does not hold any more: It lets the bad change c1 through."
    held = tried(proof(held=True))
    (gone,) = obligations([review("guard stays")], held, {"i1": Today({"other"})}, DUE)
    assert gone.sort == "gone"
    assert gone.what.startswith("There is no guard stays, which proved A1 of i1, in backout.toml any more")
    assert obligations([review("guard stays")], held, {"i1": Today({"stays"})}, DUE) == []


def test_a_backout_toml_that_is_not_that_ones_tells_nothing() -> None:
    """The file of another project has none of these guards, and never had."""
    assert obligations([review("guard stays")], tried(proof(held=True)), {"i2": Today()}, DAY_AFTER) == []


def test_what_proves_under_another_name_is_not_missed() -> None:
    """A guard may be renamed."""
    history = tried(proof(held=True), proof(held=True, name="setuptools-stays"))
    there = {"i1": Today({"setuptools-stays"})}
    assert obligations([review("guard stays")], history, there, DAY_AFTER) == []


def test_what_does_not_hold_comes_first_then_the_oldest() -> None:
    """Of many the first line is what is read."""
    older = review("", due="2026-12-01")._replace(incident="i2")
    history = tried(proof(held=True), proof(held=False))
    found = obligations([review("")._replace(incident="i0"), older, review("guard stays")], history, {}, DAY_AFTER)
    assert [(one.incident, one.sort) for one in found] == [("i1", "red"), ("i2", "overdue"), ("i0", "overdue")]


def test_a_guard_past_its_review_is_told() -> None:
    """A rule that nobody dares to touch is one that is passed by habit."""
    guards = [Guard("stays", "max-jump", "w", review_by="2026-12-13"), Guard("other", "pinned", "w")]
    assert list(to_review(guards, DUE)) == []
    assert [one.what for one in to_review(guards, DAY_AFTER)] == ["The review of guard stays was due on 2026-12-13."]

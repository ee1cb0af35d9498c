"""What keeps a review from being closed: an action that is only words."""

from __future__ import annotations

from datetime import date

import pytest

from backout.model.closing import in_the_way, stands_on, worded
from backout.model.proof import Proof
from backout.model.review import actions, template

TODAY = date(2026, 12, 1)
HEAD = "### P1 led: one setting\nentries: #2\n"
FIELDS = "- owner: Anna\n- due: 2026-12-13\n- kind: prevent\n- closes: P1\n"


def told(heading: str = "Refuse a jump of setuptools", proof: str = "", fields: str = FIELDS) -> str:
    """Give a review with one action."""
    action = f"### A1 {heading}\n{fields}- proof: {proof}\n"
    return template().replace("## Paths\n", f"## Paths\n{HEAD}").replace("## Actions\n", f"## Actions\n{action}")


def proofs(*, held: bool) -> dict[tuple[str, str], Proof]:
    """Give what came of trying a guard."""
    one = Proof("i1", "guard", "jump", "c1", "c2", held, "It lets the bad change c1 through.", {}, {}, 0.0, 9)
    return {("guard", "jump"): one}


@pytest.mark.parametrize(
    ("proof", "stands"),
    [
        ("guard jump", "proven"),
        ("guard other", "not proven"),
        ("check jump", "not proven"),
        ("accepted by Anna until 2026-12-01", "accepted"),
        ("accepted by Anna until 2026-11-30", "over"),
        ("handed to the hoster by 2027-01-01", "handed"),
        ("", "nothing"),
    ],
)
def test_an_action_stands_on_what_held_or_on_a_person_until_a_day(proof: str, stands: str) -> None:
    """A promise is nothing to stand on; a day that is over is none, either."""
    (action,) = actions(told(proof=proof))
    assert stands_on(action, proofs(held=True), TODAY) == stands


@pytest.mark.parametrize(
    ("proof", "what"),
    [
        ("", "A1 stands on nothing: - proof: guard NAME"),
        ("guard other", "A1 is not proven by guard other; it was never tried: backout review prove"),
        ("guard jump", "A1 is not proven by guard jump; it did not hold: It lets the bad change c1 through."),
        ("accepted by Anna until 2026-11-30", "A1 is accepted until 2026-11-30, which is over."),
    ],
)
def test_what_an_action_lacks_to_stand_on_is_told_at_its_line(proof: str, what: str) -> None:
    """All that is in the way is told at once."""
    text = told(proof=proof, fields="")
    found = in_the_way(text, {2}, proofs(held=False), TODAY)
    line = text.split("\n").index("### A1 Refuse a jump of setuptools") + 1
    assert [row.line for row in found] == [line] * 2
    assert any(row.what.startswith(what) for row in found)
    assert any(row.what == "A1 has no owner, no due day, no kind, no path that it closes." for row in found)


def test_weak_wording_is_in_the_way_of_what_is_not_proven() -> None:
    """What a guard refuses may be called anything; a person's word must say what will be so."""
    weak = "Look more carefully at what pip installs"
    assert in_the_way(told(weak, "guard jump"), {2}, proofs(held=True), TODAY) == []
    (found,) = in_the_way(told(weak, "accepted by Anna until 2027-01-31"), {2}, {}, TODAY)
    assert found.what.startswith("'Look more carefully' is weak. Instead: ")
    assert in_the_way(told(proof="accepted by Anna until 2027-01-31"), {2}, {}, TODAY) == []


def test_without_an_action_it_is_not_closed() -> None:
    """Nothing was learned, or nobody wrote it down."""
    assert [row.what for row in in_the_way(template(), {2}, {}, TODAY)] == ["there is no action."]


def test_words_are_told_at_their_place() -> None:
    """An editor can go there."""
    text = told("Look more carefully").replace("## Summary\n", "## Summary\nAnna should have looked.\n")
    found = worded(text, [])
    rows = text.split("\n")
    assert {row.sort for row in found} == {"weak", "counterfactual", "name"}
    assert all(rows[row.line - 1][row.column - 1 :].startswith(row.words) for row in found)

"""What of the past shows that a change did harm, and what a guard's worth and price are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.effect import Effect
from backout.model.guard import Guard, Known
from backout.model.ledger import KEPT, PREPARED, REFUSED, UNDONE, Change
from backout.model.replay import (
    BACKED_OUT,
    SUSPECT,
    TAKEN_BACK,
    Outcome,
    Past,
    harm,
    is_measured,
    judged,
    outcome,
    suspects,
    tally,
    told,
)
from backout.model.selector import Selector
from backout.model.verdict import Reason

FORBID = Guard("forbid", "forbid", "so", settings={"what": (Selector("file", "/etc/*"),)})
MOTD = Effect("file", "/etc/motd", "edited", None, None)
JUMP = Guard("max-jump", "max-jump", "so", settings={"what": ()})


def past(*, harm: str | None = None, refused: bool = False) -> Past:
    """A change of production."""
    return Past("20261123-170412-kfd", 0.0, "production", ("web1",), ("true",), harm, refused)


def change(state: str = KEPT, **how: Any) -> Change:
    """A change as a ledger tells it."""
    return Change("c", state, 0.0, how.pop("body", {}), **how)


@pytest.mark.parametrize(
    ("found", "applied", "suspected", "expected"),
    [
        ([change()], {"c"}, (), None),
        ([change(REFUSED)], (), (), None),
        ([change(UNDONE)], {"c"}, (), BACKED_OUT),
        ([change(UNDONE)], (), (), None),
        ([change(undone_by="d")], {"c"}, (), TAKEN_BACK),
        ([change()], {"c"}, {"c"}, SUSPECT),
        ([change(), change(UNDONE)], {"c"}, (), BACKED_OUT),
    ],
    ids=["kept", "refused", "backed out", "ended by a crash", "taken back", "suspect", "backed out on one host"],
)
def test_what_shows_that_a_change_did_harm(found: list[Change], applied: Any, suspected: Any, expected: str) -> None:
    """It took itself back, a person did, or an incident names it; what never was in place did none."""
    assert harm(found, applied, suspected) == expected


@pytest.mark.parametrize(
    ("one", "measured"),
    [
        (change(), True),
        (change(body={"adopted": True, "command": ["backout", "drift", "--adopt"]}), True),
        (change(REFUSED), True),
        (change(body={"undoes": "b"}), False),
        (change(body={"command": ["backout", "pause", "puppet"]}), False),
        (change(PREPARED), False),
    ],
)
def test_back_outs_and_pauses_are_no_changes_to_be_judged(one: Change, measured: bool) -> None:
    """Guards never judge them; drift that was adopted is a change like any other."""
    assert is_measured(one) is measured


def test_the_suspects_of_incidents_are_read_from_their_events() -> None:
    """What is not a list of ids is no accusation."""
    assert suspects([{"suspects": ["a", "b"]}, {"id": "1"}, {"suspects": "c"}, {"suspects": ["d"]}]) == {"a", "b", "d"}


def test_a_guard_is_asked_as_if_it_had_been_there() -> None:
    """The reason is its own; what it needs and nobody knows leaves the change unjudged, never let through."""
    assert outcome(FORBID, past(), Known([MOTD])) == Outcome(past(), "1 effect on what is forbidden: file:/etc/motd.")
    assert outcome(FORBID, past(), Known([])) == Outcome(past())
    assert outcome(JUMP, past(), Known([MOTD])).missing == "It is not known what was expected."
    assert outcome(JUMP, past(), Known([], lacks={"expect": Reason("Lost.")})).missing == "Lost."


def test_a_guard_would_only_have_warned_while_an_incident_was_open_there() -> None:
    """Whoever repaired a site then would not have been stopped; that is neither worth nor price."""
    there, elsewhere = ({name: ("i1",)} for name in ("production", "staging"))
    assert outcome(FORBID, past(), Known([MOTD], incidents=there)).warned
    assert not outcome(FORBID, past(), Known([MOTD], incidents=elsewhere)).warned


REFUSALS = st.builds(
    Outcome,
    st.builds(past, harm=st.sampled_from([None, BACKED_OUT, TAKEN_BACK, SUSPECT]), refused=st.booleans()),
    reason=st.sampled_from(["", "so"]),
    missing=st.sampled_from(["", "lost"]),
    warned=st.booleans(),
)


@given(st.lists(REFUSALS))
def test_every_outcome_is_counted_once(outcomes: list[Outcome]) -> None:
    """A change that is counted twice, or not at all, makes a guard look better or worse than it is."""
    found = tally(outcomes)
    sorted_ = [one for part in found for one in part]
    assert sorted(map(repr, sorted_)) == sorted(map(repr, outcomes))
    assert judged(found) == sum(not one.missing for one in outcomes)
    assert all(one.past.harm for one in found.harmful)
    assert not any(one.past.harm for one in (*found.harmless, *found.refused_anyway))
    assert told("few", found).startswith("few ")


def test_worth_and_price_are_one_sentence() -> None:
    """It is what a person decides by: switch it on, or leave it."""
    bad, good, anyway = past(harm=BACKED_OUT), past(), past(refused=True)
    some = [Outcome(bad, "so"), Outcome(good, "so"), Outcome(good), Outcome(anyway, "so"), Outcome(bad)]
    assert told("few", tally([*some, Outcome(good, missing="lost")])) == (
        "few would have refused 3 of 5 changes: its worth, 1 that did harm; its price, 1 that did none; "
        "1 was refused then, too. It would have let 1 change through that did harm. Of 1 change nothing can be said."
    )
    assert told("few", tally([Outcome(good)])) == "few would have refused none of 1 change."
    assert told("few", tally([])) == "few could be asked about no change on record."

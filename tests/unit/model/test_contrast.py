"""Which change was the bad one, and which the good one, as far as the record tells."""

from __future__ import annotations

from typing import Any

import pytest

from backout.model.contrast import BEFORE_S, EARLIER, LATER, REST, Good, Told, bad_of, good_of
from backout.model.incident import LEDGER, Incident, Row, fold
from backout.model.replay import BACKED_OUT, TAKEN_BACK

DECLARED = 1_000_000.0


def incident(*undone: str, resolved: bool = False, **more: Any) -> Incident:
    """An incident of production; changes that were taken back while it was open."""
    body = {"id": "i1", "environment": "production", "state": "open", **more}
    rows = [Row(1, DECLARED, DECLARED, "anna", "incident", body)]
    for number, change in enumerate(undone, 2):
        ledger = {"change": f"back-{change}", "body": {"environment": "production", "undoes": change}}
        rows.append(Row(number, DECLARED + number, DECLARED + number, "web1", LEDGER, ledger))
    if resolved:
        rows.append(Row(99, DECLARED + 99, DECLARED + 99, "anna", "incident", {**body, "state": "resolved"}))
    return fold(rows)["i1"]


KEPT = Told("kept", DECLARED - 50, stands=True)
BACK = Told("back", DECLARED - 40, TAKEN_BACK)
OUT = Told("out", DECLARED - 30, BACKED_OUT)
DRIFT = Told("drift", DECLARED + 5, adopted=True)
REFUSED = Told("refused", DECLARED - 20, refused=True)
ALL = [KEPT, BACK, OUT, DRIFT, REFUSED]


@pytest.mark.parametrize(
    ("told", "changes", "expected"),
    [
        (incident("back", suspects=["kept"]), ALL, ("kept",)),
        (incident("back"), ALL, ("back",)),
        (incident(), ALL, ("out",)),
        (incident(), [KEPT, DRIFT, REFUSED], ("drift",)),
        (incident(), [KEPT, REFUSED], ("refused",)),
        (incident(), [KEPT], ()),
        (incident(), [OUT._replace(at=DECLARED - BEFORE_S - 1)], ()),
        (incident(resolved=True), [OUT._replace(at=DECLARED + 100)], ()),
    ],
    ids=["suspect", "taken back", "backed out", "drift", "refused", "nothing", "long before", "after it"],
)
def test_the_record_tells_which_change_was_bad(told: Incident, changes: list[Told], expected: tuple[str, ...]) -> None:
    """What a person did about it tells more than what happened by itself, and that more than what never was applied."""
    assert bad_of(told, changes) == expected


def test_what_something_was_proven_against_is_meant_again() -> None:
    """A person named it once: the next guard of this incident is for the same change."""
    assert bad_of(incident("back"), ALL, {"kept"}) == ("kept",)


def test_of_several_the_one_that_was_split_is_meant_and_else_a_person_is_asked() -> None:
    """Who goes back until it is healthy takes back more than the one that broke it."""
    rest = Told("rest", DECLARED + 50, refused=True, split_from="back")
    both = [BACK, Told("newer", DECLARED - 10, TAKEN_BACK)]
    assert bad_of(incident("newer", "back"), both) == ("newer", "back")
    assert bad_of(incident("newer", "back"), [*both, rest]) == ("back",)


def test_the_good_change_is_the_rest_of_the_bad_one_else_what_stands_since_else_the_last_before() -> None:
    """The nearer to what was meant to be done, the more it says that it is let through."""
    rest = Told("rest", DECLARED, refused=True, split_from="out")
    since = Told("since", DECLARED, stands=True)
    assert good_of("out", [KEPT, OUT, since, rest]) == Good("rest", REST)
    assert good_of("out", [KEPT, OUT, since]) == Good("since", LATER)
    assert good_of("out", [KEPT, OUT, REFUSED, BACK]) == Good("kept", EARLIER)
    assert good_of("out", [OUT, BACK, DRIFT, REFUSED]) is None

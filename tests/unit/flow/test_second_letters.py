"""Closing a review drafts what the client was promised: whether it can happen again, in words that a client reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.config.values import Audience, Config, Environment
from backout.flow import incidents
from backout.flow.notices import Wish, drafts
from backout.flow.review import Reviewing
from backout.flow.second_letters import second_letters
from backout.model.guard import Guard
from kit.incident import ID, Told

SAYS = "A new release of a package is tried on staging before it reaches you"
CONFIG = Config(
    path="/srv/backout.toml",
    environments=(Environment("production", ("local",)),),
    guards=(Guard("stays", "max-jump", "w", says=SAYS), Guard("staged", "staged-first", "w", says="Staging is first.")),
    audiences=(
        Audience("client", ("mailto:ops@client.example",), "Client Ltd"),
        Audience("boss", ("mailto:boss@us.example",), "Boss"),
    ),
)
FIRST = {"how_long": "12 min", "why": "packages moved", "done": "taken back", "lost": "none", "again": "Not known yet."}


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """An incident that is over; the client had a letter, the boss none."""
    one = Told(tmp_path / "journal.db", 1000.0)
    one.check(1005.0, "unhealthy")
    one.check(1725.0, "healthy")
    one.resolve(1800.0)
    one.notice(1900.0, "n1", "letter", **FIRST)
    yield one
    one.journal.close()


def action(number: int, proof: str, kind: str = "prevent") -> str:
    """An action that stands on this."""
    return f"### A{number} Refuse it\n- owner: Anna\n- due: 2026-11-13\n- kind: {kind}\n- proof: {proof}\n"


def closed(told: Told, *actions: str, state: str = "closed") -> Reviewing:
    """Its review, as it is closed."""
    body = {"incident": ID, "state": state, "text": "## Actions\n" + "".join(actions), "base": 0}
    told.journal.append(at=90000.0, actor="anna", type="review", body=body)
    return Reviewing(told.journal, CONFIG, incidents.read(told.journal)[ID], "anna", 90000.0)


@pytest.mark.parametrize(
    ("actions", "again"),
    [
        ([action(1, "guard stays"), action(2, "guard staged")], f"No: {SAYS}. Staging is first."),
        ([action(1, "guard stays"), action(2, "handed to Ben by 2026-12-31")],
         f"Less likely: {SAYS}. What is left is done by 2026-12-31."),
        ([action(1, "handed to Ben by 2026-12-31")], "Less likely: What is left is done by 2026-12-31."),
        ([action(1, "guard stays"), action(2, "accepted by Eve until 2027-01-31"),
          action(3, "handed to Ben by 2026-12-31")], f"Yes, accepted until 2027-01-31 by Eve. {SAYS}."),
        ([action(1, "check site", kind="detect")],
         "Less likely: A change that does this again is found out before it is made."),
        ([action(1, "command pins")],
         "No: What was done by hand then is done by a command now, the same way each time."),
    ],
)  # fmt: skip
def test_whether_it_can_happen_again_comes_from_what_the_actions_stand_on(
    told: Told, actions: list[str], again: str
) -> None:
    """A promise to a client is what was shown, no more: a risk that somebody accepted is a yes."""
    (row,) = second_letters(closed(told, *actions), map(str, itertools.count()).__next__)
    assert row["plain"].endswith(f"Can it happen again: {again}\n")
    assert (row["audience"], row["type"], row["missing"], row["sent"]) == ("client", "letter", [], False)
    assert "Why: packages moved" in row["plain"]
    assert row["plain"].startswith("How long: 12 min, from ")


def test_it_is_what_tell_sends_next_and_is_written_once(told: Told) -> None:
    """Whoever closes twice has not two letters to send; and the one that was sent is not sent again."""
    reviewing, ids = closed(told, action(1, "guard stays")), map(str, itertools.count())
    first = second_letters(reviewing, ids.__next__)
    assert second_letters(reviewing, ids.__next__) == first
    (word,) = drafts(incidents.read(told.journal)[ID], CONFIG, Wish(("client",), is_letter=True), 90000.0)
    assert word.fields["again"] == f"No: {SAYS}."
    told.notice(90010.0, "n2", "letter", **dict(word.fields))
    (row,) = second_letters(reviewing, ids.__next__)
    assert row["sent"]


def test_who_had_no_letter_gets_none_and_an_open_review_promises_nothing(told: Told) -> None:
    """The second letter answers the first."""
    assert second_letters(closed(told, action(1, "guard stays"), state="in review"), str) == []


def test_a_first_letter_that_still_waits_is_overtaken_by_what_is_known_now(told: Told) -> None:
    """Nobody should send "not known yet" on the day on which it is known."""
    more = {"audience": "boss", "type": "letter", "status": "resolved", "subject": "s", "plain": "p", "html": ""}
    told.line(1950.0, "notice", "s", **more, notice="d1", draft=True, targets=[], fields={**FIRST, "why": "a jump"})
    rows = second_letters(closed(told, action(1, "guard stays")), map(str, itertools.count()).__next__)
    assert [row["audience"] for row in rows] == ["client", "boss"]
    assert "Why: a jump" in rows[1]["plain"]
    assert f"No: {SAYS}." in rows[1]["plain"]

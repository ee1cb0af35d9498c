"""A review is one text: its sections, paths and actions are read from it, and each mistake is told with its line."""

from __future__ import annotations

import re
from datetime import date

import pytest

from backout.model.incident import Row
from backout.model.review import (
    CLOSED,
    DRAFT,
    IN_REVIEW,
    REVIEW,
    Problem,
    Review,
    Standing,
    actions,
    file,
    fold,
    lacking,
    paths,
    problems,
    read,
    state_of,
    template,
)

PATHS = """\
### P1 led: one setting re-resolved every package
entries: #12, 13

### P2 could have led: a rebuilt virtualenv resolves anew
It would.
"""
ACTIONS = """\
### A1 Refuse a change that moves setuptools across a major version
- owner: Anna
- due: 2026-12-13
- kind: prevent
- closes: P1, P2
- proof: guard setuptools-stays

- a list: of what is meant
"""
ENTRIES = {12, 13}


def told(paths: str = PATHS, actions: str = ACTIONS) -> str:
    """Give a whole text with these paths and actions."""
    return template().replace("## Paths\n", f"## Paths\n{paths}").replace("## Actions\n", f"## Actions\n{actions}")


def line_of(text: str, row: str) -> int:
    """Give the line on which a row stands, from 1."""
    return text.split("\n").index(row) + 1


def test_paths_and_actions_are_read_with_their_lines() -> None:
    """What was learned is what stands there; no second copy of it can differ."""
    text = told()
    first, second = paths(text)
    assert first[:4] == ("P1", "led", "one setting re-resolved every package", (12, 13))
    assert second[:4] == ("P2", "could have led", "a rebuilt virtualenv resolves anew", ())
    assert first.line == line_of(text, "### P1 led: one setting re-resolved every package")
    (action,) = actions(text)
    assert action[2:7] == (
        "Anna",
        date(2026, 12, 13),
        "prevent",
        ("P1", "P2"),
        Standing("guard", "setuptools-stays", None),
    )
    assert problems(text, ENTRIES) == []
    assert lacking(text) == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("check answers", Standing("check", "answers", None)),
        ("guard `setuptools-stays`", Standing("guard", "setuptools-stays", None)),
        ("command rebuild", Standing("command", "rebuild", None)),
        ("accepted by Anna Berg until 2027-01-31", Standing("accepted", "Anna Berg", date(2027, 1, 31))),
        ("Handed to the hoster by 2027-01-31.", Standing("handed", "the hoster", date(2027, 1, 31))),
        ("", None),
        ("we promise", None),
    ],
)
def test_what_an_action_stands_on_is_one_of_five(said: str, meant: Standing | None) -> None:
    """A guard, a check, a command; or a person's word until a day."""
    (action,) = actions(told(actions=f"### A1 Do it\n- proof: {said}\n"))
    assert action.proof == meant


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("### P1 leads: x", "a path is headed"),
        ("### P1 led:", "does not say what it is"),
        ("entries: #12, #99", "has no entry #99"),
        ("entries: twelve", "'twelve' is no number"),
        ("entries: #١٢", "is no number"),
    ],
)
def test_what_is_wrong_with_a_path_is_told_with_its_line(wrong: str, what: str) -> None:
    """A path that points at nothing explains nothing."""
    before = "" if wrong.startswith("###") else "### P1 led: x\n"
    text = told(paths=f"{before}{wrong}\n")
    (found,) = problems(text, ENTRIES)[:1]
    assert found.line == line_of(text, wrong)
    assert what in found.what


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("### Refuse it", "an action is headed"),
        ("- due: in a while", "'in a while' is no day such as 2026-12-13"),
        ("- kind: fix", "prevent, detect, mitigate"),
        ("- closes: P1, P9", "there is no path P9"),
        ("- proof: a promise", "accepted by NAME until DATE"),
        ("- proof: accepted by Anna until we see", "accepted by NAME until DATE"),
        ("- ower: Anna", "'ower' is no field of an action; these are: owner, due"),
    ],
)
def test_what_is_wrong_with_an_action_is_told_with_its_line(wrong: str, what: str) -> None:
    """A field that cannot be read must not count as one that was not given."""
    before = "" if wrong.startswith("###") else "### A1 Do it\n"
    text = told(actions=f"{before}{wrong}\n")
    (found,) = problems(text, ENTRIES)
    assert found.line == line_of(text, wrong)
    assert what in found.what


def test_a_key_or_a_field_that_stands_twice_is_told_where_it_stands_again() -> None:
    """Which of both counts must not be guessed."""
    text = told(
        PATHS.replace("### P2", "### P1"), ACTIONS.replace("- kind", "- owner: Ben\n- kind").replace("P1, P2", "P1")
    )
    again = [Problem(line_of(text, row), what) for row, what in (
        ("### P1 could have led: a rebuilt virtualenv resolves anew", "P1 stands here a second time."),
        ("- owner: Ben", "owner stands here a second time."),
    )]  # fmt: skip
    assert problems(text, ENTRIES) == again


def test_what_an_action_lacks_is_no_mistake_but_keeps_the_review_open() -> None:
    """A draft is saved while it is thought about; it is closed when it is whole."""
    text = told("### P1 led: x\n", "### A1\n- closes: P1\n")
    assert problems(text, ENTRIES) == []
    assert [row.what for row in lacking(text)] == [
        "P1 led to it, and names no entry of the timeline: entries: #N",
        "A1 has no owner, no due day, no kind, no heading.",
    ]
    assert [row.what for row in lacking(template())] == ["there is no action."]


def test_what_people_write_a_little_otherwise_is_read_all_the_same() -> None:
    """Whoever writes in a hurry must not be sent back for a capital letter."""
    text = told(
        "### p1 Led: x\nEntries: 12 and 13\n", "### a1: Do it\n* **Owner:** Anna\n- Kind : Prevent\n- closes: p1\n"
    )
    (action,) = actions(text)
    assert (paths(text)[0][:4], action[:3]) == (("P1", "led", "x", (12, 13)), ("A1", "Do it", "Anna"))
    assert (action.kind, action.closes, problems(text, ENTRIES)) == ("prevent", ("P1",), [])


def test_headings_in_code_and_comments_mean_nothing() -> None:
    """A log that is pasted into a review may hold anything."""
    fenced = "```text\n### A9 not an action\n- due: never\n## Summary\n```\n<!--\n### A8 none\n-->\n"
    text = told(actions=f"{ACTIONS}{fenced}")
    assert [one.key for one in actions(text)] == ["A1"]
    assert problems(text, ENTRIES) == []


def test_a_review_with_a_path_and_an_action_and_no_problem_is_in_review() -> None:
    """Until then it is a draft."""
    assert state_of(template(), ENTRIES) == DRAFT
    assert state_of(told(), ENTRIES) == IN_REVIEW
    assert state_of(told(), {12}) == DRAFT


def test_the_newest_review_of_an_incident_counts() -> None:
    """What is no review, or cannot be read as one, stays away."""
    body = {"incident": "i1", "state": DRAFT, "text": "one", "base": 0}
    rows = [
        Row(1, 5.0, 5.0, "anna", REVIEW, body),
        Row(2, 6.0, 6.0, "ben", REVIEW, {**body, "text": "two", "state": CLOSED, "base": 1}),
        Row(3, 7.0, 7.0, "ben", REVIEW, {**body, "state": "done"}),
        Row(4, 7.0, 7.0, "ben", "entry", body),
    ]
    assert fold(rows) == {"i1": Review("i1", CLOSED, "two", 2, 6.0, "ben")}


KNOWN = "# Review: the shop answers 502\n\n- #12 14:03 a note\n- #13 14:05 <!-- end of known -->\n"
REVIEWED = Review("i20261128-194341-sdx", DRAFT, told(), 4711, 0.0, "anna")


def test_a_file_says_which_review_it_is_and_from_where_its_text_begins() -> None:
    """A line of the text is told as the line of the file that the editor shows."""
    written = file(REVIEWED, KNOWN)
    found = read(written, KNOWN)
    assert found[:3] == ("i20261128-194341-sdx", 4711, told())
    assert written.split("\n")[found.first_line - 1] == "## Summary"
    assert found.problems == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("a note", "another note", 5, "it was edited here, which would be lost"),
        ("- #13", "- mine\n- #13", 6, "it was edited here"),
        ("edited from 4711", "edited", 1, "the first line is not there"),
        ("<!-- end of known -->\n", "", 2, "a line that it begins or ends with is not there"),
        ("<!-- known .*-->\n", "", 2, "a line that it begins or ends with is not there"),
        ("<!-- known", "mine\n<!-- known", 2, "this stands above it"),
    ],
)
def test_what_is_known_is_not_edited_and_the_text_below_it_is_never_lost(
    old: str, new: str, line: int, what: str
) -> None:
    """That part is written anew each time: what is typed there would be gone with the next save."""
    found = read(re.sub(old, new, file(REVIEWED, KNOWN)), KNOWN)
    assert found.text == told()
    assert [(row.line, what in row.what) for row in found.problems] == [(line, True)]


def test_an_editor_may_change_the_ends_of_lines() -> None:
    """Some write CRLF, a mark of the encoding, or no blanks at the end of a line: nobody edited what is known."""
    found = read("\ufeff" + file(REVIEWED, KNOWN).replace("\n", "\r\n"), KNOWN)
    assert found.problems == ()
    assert found.text == told().replace("\n", "\r\n")
    assert problems(found.text, ENTRIES) == []
    assert actions(found.text)[0].owner == "Anna"

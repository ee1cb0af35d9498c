"""Review file -> journal -> review file is the identity, whatever somebody writes between the headings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from backout.config.values import Config
from backout.flow import incidents
from backout.flow.review import Reviewing
from backout.model.incident import RESOLVED
from backout.model.redact import redact
from backout.model.review import DRAFT, Review, file, read, template
from backout.model.sections import SECTIONS, merged, structure
from backout.store.sqlite import SqliteJournal

CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LINES = st.one_of(
    CHARACTERS,
    st.sampled_from(
        ["### A1 x", "- due: soon", "entries: #1", "## Not ours", "#", "", "\ufeff", "Müller ☃", "a\rb", "\0"]
    ),
    st.sampled_from(
        ["<!-- end of known -->", "<!-- backout review of i1, edited from 7 -->", "<!-- known 00000000: -->"]
    ),
)
ENDS = st.sampled_from(["\n", "\r\n", " \n", "\n\n"])
ROWS = st.lists(st.tuples(LINES, ENDS).map("".join), max_size=4).map("".join)
CODE = st.tuples(ROWS, st.sampled_from(["## Summary\n", "## Paths\n### P1 x\n"])).map(
    lambda told: f"~~~~~text\n{told[0]}{told[1]}~~~~~\n"
)
BODIES = st.dictionaries(st.sampled_from(SECTIONS), st.one_of(ROWS, CODE), max_size=3)
TEXTS = st.tuples(BODIES, ENDS, st.booleans()).map(lambda told: written(*told))


def written(bodies: dict[str, str], end: str, ended: bool) -> str:
    """Put bodies below the headings; the last line may be without an end."""
    text = "".join(f"## {name}{end}{bodies.get(name, '')}" for name in SECTIONS)
    return text if ended else text.rstrip("\r\n")


@pytest.fixture(scope="module")
def reviewing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewing]:
    """Sit at the review of an incident, with a real journal."""
    path: Path = tmp_path_factory.mktemp("review") / "journal.db"
    journal = SqliteJournal(path)
    name = incidents.declare(journal, "anna", lambda: "1", "local", "<!-- end of known -->", at=1.0)
    incidents.state(journal, "anna", name, "local", RESOLVED, at=2.0)
    yield Reviewing(journal, Config(), incidents.read(journal)[name], "anna", 9e9)
    journal.close()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(TEXTS)
@example(template())
@example(template().replace("\n", "\r\n").rstrip())
def test_a_file_goes_into_the_journal_and_comes_back_the_same(reviewing: Reviewing, text: str) -> None:
    """Where it can be saved, it is saved as it is; opened and closed again, nothing is new."""
    assume(not structure(text) and redact(text) == text and text != reviewing.newest.text)
    opened = reviewing.opened()
    edited = file(opened.review._replace(text=text), opened.known).encode()
    saved = reviewing.save(edited)
    again = reviewing.opened()
    assert (saved.is_new, saved.review.text, reviewing.newest.text) == (True, text, text)
    assert again.content == edited.decode().replace(f"from {opened.review.seq} ", f"from {saved.review.seq} ")
    assert not reviewing.save(again.content.encode()).is_new


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.one_of(TEXTS, st.text(st.characters(exclude_categories=["Cs"]))), CHARACTERS, CHARACTERS)
def test_a_file_gives_back_any_text_that_is_in_it(text: str, known: str, more: str) -> None:
    """Also one that cannot be saved as it is: what somebody typed is there to be mended."""
    opened = file(Review("i1", DRAFT, text, 3, 0.0, "anna"), f"{known}\n{more}")
    told = read(opened)
    assert (told.text, told.problems) == (text, ())
    assert opened.split("\n")[told.first_line - 1 :] == text.split("\n")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(TEXTS, TEXTS)
def test_what_nobody_else_changed_is_merged_as_it_is(mine: str, theirs: str) -> None:
    """A merge with the base itself is the one that was changed, whichever of both it is."""
    assume(not structure(mine) and not structure(theirs))
    assert merged(theirs, mine, theirs) == mine
    assert merged(mine, mine, theirs) == theirs

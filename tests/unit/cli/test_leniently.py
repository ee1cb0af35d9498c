"""Hands shake: whatever is typed in an emergency is taken, and named afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.cli.leniently import read, verb_of


def test_what_is_known_is_read_wherever_it_stands() -> None:
    """Nobody remembers in which order it goes."""
    options = read(["--json", "panic", "site", "--severity=2", "is", "-e", "production", "down"], "panic")
    assert (options.json, options.severity, options.environment) == (True, "2", "production")
    assert (options.words, options.odd) == (["site", "is", "down"], [])


def test_what_is_not_known_is_text_and_is_named() -> None:
    """A word that is lost may be the one that tells most."""
    options = read(["panic", "--sevrity", "1", "-x", "down", "--config"], "panic")
    assert options.words == ["--sevrity", "1", "-x", "down", "--config"]
    assert options.odd == ["--sevrity", "-x", "--config"]


def test_all_that_follows_two_dashes_is_text() -> None:
    """As everywhere; it is not even odd."""
    options = read(["panic", "-eprod", "--", "--json", "-e"], "panic")
    assert (options.environment, options.json, options.words, options.odd) == ("prod", False, ["--json", "-e"], [])


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["-e", "-e1", "--", "--json", "--severity", "-", "--config=", "panic", "-é", ""])))
def test_no_line_is_wrong(words: list[str]) -> None:
    """Property: it never refuses, and no word that is neither option nor value is lost."""
    options = read(["panic", *words], "panic")
    assert set(options.odd) <= set(options.words) <= set(words)


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["panic", "run"], "panic"),
        (["--config", "panic", "panic"], "panic"),
        (["--config", "panic", "run"], None),
        (["--colour", "panic"], "panic"),
        (["run", "--", "panic"], None),
        ([], None),
    ],
)
def test_the_verb_is_the_first_word_that_is_no_option(words: list[str], verb: str | None) -> None:
    """`run -- panic` runs a program of that name; an option that does not exist hides no verb."""
    assert verb_of(words, ["panic"]) == verb

"""A note's first words say what it is; what became of a hypothesis is put to the one that is meant."""

from __future__ import annotations

import pytest

from backout.model.thought import fitting, said

THOUGHTS = {3: "the disk of web1 is full", 5: "DNS: the resolver is down", 7: "the disk of web2 is full"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("think: the disk is full", ("hypothesis", "open", "the disk is full")),
        ("Ruled out: dns", ("hypothesis", "ruled out", "dns")),
        ("ruled-out:", ("hypothesis", "ruled out", "")),
        ("confirmed: disk", ("hypothesis", "confirmed", "disk")),
        ("decided: fail over", ("decision", "", "fail over")),
        ("I think: so", ("note", "", "I think: so")),
        ("think twice", ("note", "", "think twice")),
        ("see http://web1", ("note", "", "see http://web1")),
    ],
)
def test_the_words_before_a_colon_say_what_a_note_is(text: str, found: tuple[str, str, str]) -> None:
    """Without the colon it is prose: what somebody thinks of doing is no hypothesis."""
    assert said(text) == found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("resolver works", [5]),
        ("disk of web2", [7]),
        ("the disk", [3, 7]),
        ("memory", []),
        ("", []),
    ],
)
def test_a_hypothesis_is_found_by_the_words_that_it_shares(text: str, numbers: list[int]) -> None:
    """Two that fit alike are both given: which one is meant is not guessed."""
    assert fitting(text, THOUGHTS) == numbers


def test_without_words_the_only_open_hypothesis_is_meant() -> None:
    """There is no other."""
    assert fitting("", {5: "dns"}) == [5]

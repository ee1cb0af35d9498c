"""What a text is cut into, so that the same fault is found in other words."""

from __future__ import annotations

import pytest

from backout.model.terms import Word, grams, likeness, stem, words


def test_everyday_words_are_left_out_and_accents_do_not_matter() -> None:
    """They are in every note, and notes are typed in a hurry."""
    assert [word.text for word in words("It is the Zürich_gateway that failed")] == ["zurich", "gateway", "failed"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("FSDownload", ("fs", "download")),
        ("OutOfMemoryError", ("out", "of", "memory", "error")),
        ("libssl3", ("libssl",)),
        ("Failed", ()),
        ("ERROR", ()),
        ("2026", ()),
    ],
)
def test_a_compound_is_known_by_its_parts_too(name: str, parts: tuple[str, ...]) -> None:
    """One writes OutOfMemoryError, the other "out of memory"."""
    (word,) = words(name)
    assert word == Word(name.lower(), parts)


@pytest.mark.parametrize(
    "forms",
    ["fail fails failed failing failure", "job jobs", "retry retries retried", "start started", "process processes"],
)
def test_the_forms_of_a_word_are_one_term(forms: str) -> None:
    """A log says what failed, a note that it fails."""
    assert len({stem(form) for form in forms.split()}) == 1


@pytest.mark.parametrize("pair", ["class clas", "status stat", "bus bu", "red r", "v2s v2"])
def test_what_only_looks_like_an_ending_stays(pair: str) -> None:
    """Otherwise other words would be taken for the same."""
    one, other = pair.split()
    assert stem(one) != stem(other)


def test_titles_that_are_spelt_alike_are_alike_whatever_the_order_of_their_words() -> None:
    """The second person who reports a fault uses nearly the same words."""
    one, near, far = map(grams, ("Gunicorn cannot start", "start of gunicorn: cannot", "The disk is full"))
    assert likeness(one, one) == pytest.approx(1.0)
    assert likeness(one, near) > 0.6
    assert likeness(one, far) < 0.1
    assert likeness(one, grams("")) == 0.0

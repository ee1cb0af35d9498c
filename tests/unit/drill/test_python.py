"""Which interpreter the shop gets decides whether setuptools 65.5.0 can be imported at all."""

from __future__ import annotations

import pytest

from backout.drill.python import Interpreter, best


def pythons(*minors: int) -> list[Interpreter]:
    """Interpreters of these minor versions, in the order in which they were found."""
    return [Interpreter(f"/usr/bin/python3.{minor}", (3, minor)) for minor in minors]


@pytest.mark.parametrize(
    ("found", "chosen"),
    [((12, 11), 11), ((13, 10, 11), 10), ((13, 12), 13), ((9, 14, 12), 12)],
    ids=["the story's own", "the first of these", "a newer one when there is no other", "none too old or too new"],
)
def test_the_interpreter_of_the_story_comes_first(found: tuple[int, ...], chosen: int) -> None:
    """On 3.12 and newer, pkg_resources of setuptools 65.5.0 cannot be imported: another release has to stand in."""
    best_one = best(pythons(*found))
    assert best_one is not None
    assert best_one.version == (3, chosen)
    assert best_one.as_in_the_story == (chosen < 12)


def test_no_interpreter_is_better_than_a_wrong_one() -> None:
    """The packages of the story do not install on 3.9, nor run on 3.14."""
    assert best(pythons(9, 14)) is None

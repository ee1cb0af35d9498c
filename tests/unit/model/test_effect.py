"""Effects: one difference each, as documents tell them and read them back."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.effect import KINDS, Effect, Noise, RawEffect, effect_from, file_effect, operation, order
from backout.model.state import State
from kit.values import PATHS, effect, states

THERE = State("file", 0o644, 0, 0, 1, "aa")


@pytest.mark.parametrize(
    ("before", "after", "op"),
    [(None, THERE, "added"), (THERE, None, "removed"), (THERE, THERE._replace(mode=0o600), "edited")],
)
def test_the_operation_follows_from_what_is_there(before: State | None, after: State | None, op: str) -> None:
    """The report's +, - and ~ stand on this."""
    assert RawEffect(b"/srv/a", before, after).op() == op
    assert file_effect(RawEffect(b"/srv/a", before, after)).op == op


def test_an_empty_value_is_there() -> None:
    """A setting that becomes the empty text is edited; told as removed, nobody would look for it in the file."""
    assert (operation("", "x"), operation("x", ""), operation(0, 1)) == ("edited", "edited", "edited")


@given(
    st.builds(
        Effect,
        kind=st.sampled_from(KINDS),
        subject=PATHS.map(os.fsdecode),
        op=st.just("edited"),
        before=st.none() | states().map(State.document),
        after=st.none() | states().map(State.document),
        content=st.none() | st.text(),
        paths=st.lists(PATHS, max_size=3).map(tuple),
        reversible=st.booleans(),
        predicted=st.booleans(),
        diff=st.none() | st.text(),
        expected=st.none() | st.booleans(),
    )
)
def test_an_effect_is_read_back_from_its_document_as_it_was(found: Effect) -> None:
    """Judgement happens on the far side of the wire; a path that came back changed would be another path."""
    assert effect_from(json.loads(json.dumps(found.document()))) == found


def test_a_field_of_a_newer_release_is_left_alone() -> None:
    """An effects document may gain fields; readers of this release go on without them."""
    assert effect_from({**effect().document(), "of_tomorrow": 1}) == effect()


def test_a_document_has_a_diff_only_where_there_is_one() -> None:
    """The schema says so, and a null would read as "nothing differs"."""
    assert "diff" not in effect().document()
    assert effect(diff="@@").document()["diff"] == "@@"


def test_the_effect_of_a_plain_file_tells_both_sides_and_claims_its_path() -> None:
    """Every changed path is accounted for (law 2): what no lens explains is told as it is."""
    found = file_effect(RawEffect(b"/srv/\xff", None, THERE), diff="@@")
    assert found == Effect(
        "file", "/srv/\udcff", "added", None, THERE.document(), paths=(b"/srv/\xff",), diff="@@", expected=None
    )


def test_noise_tells_which_rule_folds_a_path_away_and_what_becomes_of_it() -> None:
    """Noise is counted, never hidden; `promotion` tells whether the apply writes it."""
    told = Noise("logs", b"/var/log/\xff", "edited", "append").document()
    assert told == {"rule": "logs", "path": "/var/log/\udcff", "op": "edited", "promotion": "append"}


@given(st.permutations([effect(f"{kind}:{name}") for kind in KINDS for name in ("a", "b")]))
def test_effects_are_listed_by_kind_and_then_by_subject(shuffled: list[Effect]) -> None:
    """Two rehearsals of one command must read alike, line by line."""
    told = [(one.kind, one.subject) for one in order(shuffled)]
    assert told == [(kind, name) for kind in KINDS for name in ("a", "b")]


def test_an_effect_of_a_kind_unknown_here_is_listed_last() -> None:
    """A record of a newer release is shown, not dropped and not a traceback."""
    assert [one.kind for one in order([effect("zfs:tank"), effect("config:a#b")])] == ["config", "zfs"]

"""The digest names an effect set: what is accepted with `--accept` is this and nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.digest import canonical, digest
from backout.model.effect import Effect, RawEffect, effect_from, file_effect
from backout.model.state import State
from kit.values import effect, states

VALUES = st.none() | st.text(max_size=5) | st.integers() | st.dictionaries(st.text(max_size=3), st.integers())
EFFECTS = st.builds(
    Effect,
    kind=st.sampled_from(["file", "python-package", "service"]),
    subject=st.text(max_size=8),
    op=st.sampled_from(["added", "removed", "edited", "requested"]),
    before=VALUES,
    after=VALUES,
    content=st.none() | st.text(max_size=8),
)


@given(st.lists(EFFECTS, max_size=5).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_the_effects_is_nothing_to_the_digest(orders: tuple[list[Effect], list[Effect]]) -> None:
    """Two hosts list a folder in two orders, and yet they would be changed alike."""
    assert digest(orders[0]) == digest(orders[1])


@given(EFFECTS)
def test_what_is_only_shown_is_nothing_to_the_digest(found: Effect) -> None:
    """Whether it was expected, its diff and its claimed paths depend on the reader; the change is the same."""
    shown = found._replace(expected=False, diff="@@", paths=(b"/x",), reversible=False, predicted=True)
    assert digest([shown]) == digest([found])


@pytest.mark.parametrize("field", ["kind", "subject", "op", "before", "after", "content"])
def test_each_part_of_an_effects_meaning_changes_the_digest(field: str) -> None:
    """A package that goes to the same version with other bits is another change than the one accepted."""
    accepted = effect(content="sha256:1")
    changed: dict[str, Any] = {field: "another"}
    assert digest([accepted._replace(**changed)]) != digest([accepted])


@given(states())
def test_times_are_nothing_to_the_digest(state: State) -> None:
    """Each rehearsal writes the same file at another time; `--accept` would never hold otherwise."""
    later = file_effect(RawEffect(b"/srv/a", None, state._replace(mtime_ns=state.mtime_ns + 1)))
    assert digest([later]) == digest([file_effect(RawEffect(b"/srv/a", None, state))])


@given(st.lists(EFFECTS, max_size=4))
def test_the_digest_is_that_of_the_effects_as_a_document_tells_them(found: list[Effect]) -> None:
    """It is computed again from documents that were stored or came over the wire."""
    told = json.loads(json.dumps([one.document() for one in found]))
    assert digest(effect_from(one) for one in told) == digest(found)


@given(st.lists(EFFECTS | st.builds(effect, st.sampled_from(["file:a", 'file:a"', "file:a!", "file:a b", "file:é"]))))
def test_the_rows_are_hashed_in_their_order(found: list[Effect]) -> None:
    """A program in another language computes it as FORMATS.md says: all rows sorted by their bytes."""
    rows = sorted(canonical([e.kind, e.subject, e.op, e.before, e.after, e.content]) for e in found)
    assert digest(found) == "sha256:" + hashlib.sha256(b"\n".join(rows)).hexdigest()


def test_one_effect_more_or_the_same_effect_twice_is_another_set() -> None:
    """An effect that slips in under an accepted digest is applied unseen."""
    digests = {digest([]), digest([effect()]), digest([effect(), effect()]), digest([effect(), effect("user:eve")])}
    assert len(digests) == 4


def test_the_digest_is_computed_as_it_was_when_it_was_first_printed() -> None:
    """A digest in a ticket or a CI job of an older release must still be the same (design, "digest")."""
    row = b'["user","d\\u00e9ploy","added",null,{"shell":"/bin/sh","uid":1000},null]'
    found = effect("user:déploy", op="added", before=None, after={"uid": 1000, "shell": "/bin/sh"})
    assert digest([found]) == "sha256:" + hashlib.sha256(row).hexdigest()


def test_a_path_that_is_not_utf_8_has_a_canonical_form() -> None:
    """Such names are rare and legal; a hash that cannot be taken of one would stop the whole change."""
    assert canonical("/srv/\udcff") == b'"/srv/\\udcff"'

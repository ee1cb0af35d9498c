"""What is known of where a change should be tried first: what is there, what remains, what is meant to differ."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from backout.model.effect import Effect
from backout.model.selector import Selector, parse_selector
from backout.model.staging import exception, key, sort
from kit.values import effect

CONF = effect("file:/srv/shop/gunicorn.conf.py")
FLASK = effect("python-package:/srv/venv:flask", before="2.2.5", after="3.1.0")
NAMES = ("file:/a", "file:/b", "config:/a#x", "python-package:/v:flask", "service:shop.service")
EFFECTS = st.lists(st.builds(effect, st.sampled_from(NAMES), after=st.sampled_from(["1", "2", None])))
SELECTORS = st.lists(st.sampled_from(["file:/a", "*:*b", "python-package:flask"]).map(parse_selector))


@given(EFFECTS, SELECTORS, st.lists(st.builds(effect, st.sampled_from(NAMES), after=st.just("2"))))
def test_what_is_covered_what_remains_and_what_is_excepted_are_all_effects(
    effects: list[Effect], selectors: list[Selector], missing: list[Effect]
) -> None:
    """An effect that fell out between them would be let through unseen."""
    found = sort(effects, selectors, {key(one) for one in missing})
    together = [*found.covered, *found.remainder, *(one for _, one in found.excepted)]
    assert sorted(map(repr, together)) == sorted(map(repr, effects))
    assert all(selectors[at].matches(one) for at, one in found.excepted)
    assert not any(exception(one, selectors) is not None for one in (*found.covered, *found.remainder))


def test_two_environments_must_have_kind_subject_and_after_alike_and_nothing_else() -> None:
    """Where it came from differs between two hosts; where it goes must not."""
    assert key(FLASK) == key(FLASK._replace(before="1.0", op="added", content="other", expected=True))
    others = [FLASK._replace(after="3.0"), FLASK._replace(subject="/srv/old:flask"), FLASK._replace(kind="file")]
    assert key(FLASK) not in map(key, others)


def test_what_came_from_a_journal_is_alike_whatever_the_order_of_its_fields() -> None:
    """Stored effects have sorted fields, those of a rehearsal the order of the program."""
    state = {"type": "file", "mode": "0644", "sha256": "aa"}
    stored = json.loads(json.dumps(state, sort_keys=True))
    assert key(CONF._replace(after=state)) == key(CONF._replace(after=stored))

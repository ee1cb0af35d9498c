"""The guard staged-first: what may not be let through, and what is said of it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from backout.model.effect import Effect
from backout.model.guard import STAGED_FIRST, Guard, exception, key, sort, staged_first, unjudged
from backout.model.selector import Selector, parse_selector
from kit.values import effect

GUARD = Guard(STAGED_FIRST, "2026-11-23: staging was not the same")
CONF = effect("file:/srv/shop/gunicorn.conf.py")
FLASK = effect("python-package:/srv/venv:flask", before="2.2.5", after="3.1.0")
DATABASE = effect("config:/srv/shop/.env#DATABASE_URL")
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


def test_what_remains_is_refused_shortly_with_the_reason_of_the_guard_and_the_way_on() -> None:
    """Law 7; of 45 packages nobody reads more than the first."""
    packages = [FLASK._replace(subject=f"/srv/venv:package{number}") for number in range(45)]
    found = sort([CONF, *packages], (), set(map(key, packages)))
    (reason,) = staged_first(GUARD, found, "staging", "", "backout run -e staging -- make")
    assert reason.what == (
        "Guard staged-first: staging lacks 45 of 46 effects, or was unhealthy with them: "
        "python-package:/srv/venv:package0, python-package:/srv/venv:package1, python-package:/srv/venv:package2 …. "
        "It guards because of: 2026-11-23: staging was not the same"
    )
    assert reason.next == "backout run -e staging -- make"


def test_what_is_meant_to_differ_and_what_is_there_is_let_through() -> None:
    """Each environment has its own database; a guard that refused that would be switched off."""
    found = sort([CONF, DATABASE], [parse_selector("config:*#DATABASE_URL")], {key(DATABASE)})
    assert staged_first(GUARD, found, "staging", "", "") == []
    assert found.excepted == [(0, DATABASE)]


def test_where_nothing_is_known_it_refuses() -> None:
    """A guard that lets through what it cannot judge guards on good days only."""
    reason = unjudged(GUARD, "staging", "staging was not reached.")
    assert "nothing is known of staging. staging was not reached." in reason.what
    assert reason.next == "backout log -e staging"

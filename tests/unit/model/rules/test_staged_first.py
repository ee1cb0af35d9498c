"""The rule staged-first: what may not be let through, and what is said of it."""

from __future__ import annotations

from backout.model.guard import Guard, Known
from backout.model.rules import judge
from backout.model.selector import parse_selector
from backout.model.staging import NOWHERE, Sorted, Staging, key, sort
from backout.model.verdict import Reason
from kit.values import effect

GUARD = Guard("staged-first", "staged-first", "2026-11-23: staging was not the same")
CONF = effect("file:/srv/shop/gunicorn.conf.py")
FLASK = effect("python-package:/srv/venv:flask", before="2.2.5", after="3.1.0")
DATABASE = effect("config:/srv/shop/.env#DATABASE_URL")


def said(found: Sorted, next: str = "") -> list[Reason]:
    """What the guard says of effects that are held against staging."""
    return judge(GUARD, Known([*found.covered, *found.remainder], staging=Staging("staging", found, "", next)))


def test_what_remains_is_refused_shortly_with_the_reason_of_the_guard_and_the_way_on() -> None:
    """Law 7; of 45 packages nobody reads more than the first."""
    packages = [FLASK._replace(subject=f"/srv/venv:package{number}") for number in range(45)]
    found = sort([CONF, *packages], (), set(map(key, packages)))
    (reason,) = said(found, "backout run -e staging -- make")
    assert reason.what == (
        "Guard staged-first: staging lacks 45 of 46 effects, or was unhealthy with them: "
        "python-package:/srv/venv:package0, python-package:/srv/venv:package1, python-package:/srv/venv:package2 …. "
        "It guards because of: 2026-11-23: staging was not the same"
    )
    assert reason.next == "backout run -e staging -- make"


def test_what_is_meant_to_differ_and_what_is_there_is_let_through() -> None:
    """Each environment has its own database; a guard that refused that would be switched off."""
    found = sort([CONF, DATABASE], [parse_selector("config:*#DATABASE_URL")], {key(DATABASE)})
    assert said(found) == []
    assert found.excepted == [(0, DATABASE)]


def test_where_nothing_is_known_it_refuses() -> None:
    """A guard that lets through what it cannot judge guards on good days only."""
    nothing = Staging("staging", sort([CONF], (), {}), "staging was not reached.", is_known=False)
    (reason,) = judge(GUARD, Known([CONF], staging=nothing))
    assert "nothing is known of staging. staging was not reached." in reason.what
    assert reason.next == "backout log -e staging"


def test_an_environment_that_should_be_like_no_other_is_let_through() -> None:
    """Staging has nothing before it; a guard that refused everything there would leave no way on."""
    assert judge(GUARD, Known([CONF], staging=NOWHERE)) == []

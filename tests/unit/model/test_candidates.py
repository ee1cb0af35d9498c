"""Which guards are proposed against what a change did, and in which order they are told."""

from __future__ import annotations

from datetime import date
from typing import Any

from backout.model.candidates import Cost, Scene, most_of, proposed, rank
from backout.model.effect import Effect


def python(name: str, before: str, after: str) -> Effect:
    """A Python package that moves."""
    return Effect("python-package", f"/srv/shop/venv:{name}", "edited", before, after)


SETUPTOOLS, FLASK = python("setuptools", "65.5.0", "84.0.0"), python("flask", "2.2.5", "3.1.0")
PATCH, CONF = python("click", "8.1.0", "8.1.7"), Effect("config", "/srv/app.toml#a.b[0]", "edited", 1, 2)
BAD = [SETUPTOOLS, FLASK, PATCH, CONF]


def scene(**more: Any) -> Scene:
    """A re-resolution of production in which one setting was meant to change."""
    return Scene("i1", "the shop is down", "production", more.pop("bad", BAD), today=date(2026, 11, 28), **more)


def settings(found: Scene, rule: str) -> list[dict[str, Any]]:
    """What guards of a rule would have as their own keys, in order."""
    rest = ("name", "rule", "environments", "why", "says", "incident", "review_by")
    rows = [dict(one.table) for one in proposed(found) if one.table["rule"] == rule]
    return [{key: value for key, value in row.items() if key not in rest} for row in rows]


def test_the_packages_that_split_found_come_first_then_what_the_good_change_left_then_all() -> None:
    """The narrower a guard, the longer it is left in place."""
    part = {"python-package:/srv/shop/venv:setuptools"}
    both = ["python-package:flask", "python-package:setuptools"]
    assert settings(scene(part=part), "max-jump") == [{"what": ["python-package:setuptools"]}, {"what": both}, {}]
    assert settings(scene(good=[FLASK]), "max-jump") == [{"what": ["python-package:setuptools"]}, {"what": both}, {}]
    assert settings(scene(), "max-jump") == [{"what": both}, {}]
    assert settings(scene(bad=[PATCH, CONF]), "max-jump") == []


def test_what_split_found_guilty_can_be_forbidden_whatever_it_is_else_the_little_that_the_good_change_lacks() -> None:
    """A setting crosses no major version; a key with brackets in its name stays that very key."""
    assert settings(scene(part={"config:/srv/app.toml#a.b[0]"}), "forbid") == [
        {"what": ["config:/srv/app.toml#a.b[[]0]"]}
    ]
    assert settings(scene(bad=[PATCH, CONF], good=[CONF]), "forbid") == [{"what": ["python-package:click"]}]
    assert settings(scene(good=[FLASK]), "forbid") == []
    many = [Effect("file", f"/srv/{number}", "added", None, {}) for number in range(6)]
    assert settings(scene(bad=many), "forbid") == []


def test_more_packages_at_once_than_any_harmless_change_had_are_too_many() -> None:
    """The number comes from the record; where nothing did no harm, one at a time is left."""
    most = most_of([{"python-package": 2, "file": 9}, {"python-package": 1}])
    assert most == {"python-package": 2, "file": 9, "*": 11}
    assert settings(scene(most=most), "max-effects") == [{"most": {"python-package": 2}}]
    assert settings(scene(), "max-effects") == [{"most": {"python-package": 1}}, {"most": {"*": 1}}]


def test_staging_and_pins_and_hours_are_proposed_where_they_mean_something() -> None:
    """Without a twin there is nothing to stage on; without Python packages nothing to pin."""
    rules = [one.table["rule"] for one in proposed(scene(same_as="staging"))]
    assert rules[-3:] == ["pinned", "staged-first", "window"]
    assert {"staged-first", "pinned"}.isdisjoint(one.table["rule"] for one in proposed(scene(bad=[CONF])))


def test_what_costs_least_is_told_first_then_what_keeps_most_away_then_the_narrowest() -> None:
    """Whoever adds the first one is in nobody's way."""
    costs = [Cost(1, 9, 0), Cost(0, 1, 200), Cost(0, 2, 500), Cost(0, 1, 1)]
    assert sorted(costs, key=rank) == [Cost(0, 2, 500), Cost(0, 1, 1), Cost(0, 1, 200), Cost(1, 9, 0)]

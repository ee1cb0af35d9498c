"""What is proposed against a change is what backout.toml takes."""

from __future__ import annotations

from datetime import date

import pytest

from backout.config.parse import parse
from backout.config.writing import table
from backout.model.candidates import Scene, proposed
from backout.model.effect import Effect


def python(name: str, before: str, after: str) -> Effect:
    """A Python package that moves."""
    return Effect("python-package", f"/srv/shop/venv:{name}", "edited", before, after)


SETUPTOOLS = python("setuptools", "65.5.0", "84.0.0")
BAD = [
    *(SETUPTOOLS, python("flask", "2.2.5", "3.1.0"), python("click", "8.1.0", "8.1.7")),
    Effect("config", "/srv/app.toml#a.b[0]", "edited", 1, 2),
]


@pytest.mark.parametrize("environment", ["production", ""])
def test_every_proposal_is_a_guard_that_backout_toml_takes(environment: str) -> None:
    """Its names are free and differ, and it says all that a letter and a later reader need."""
    part, today = {f"python-package:{SETUPTOOLS.subject}"}, date(2026, 11, 28)
    told = Scene("i1", "the shop is down", environment, BAD, today=today, part=part, same_as="staging")
    found = proposed(told, {"setuptools-stays"})
    hosts = "".join(f'[environments.{name}]\nhosts = ["local"]\n' for name in ("production", "staging"))
    guards = parse(hosts + "".join(table("guards", one.table) for one in found), "backout.toml").guards
    assert [guard.name for guard in guards] == [one.name for one in found]
    assert guards[0].name == "setuptools-stays-2"
    assert all((guard.incident, guard.review_by) == ("i1", "2027-05-27") for guard in guards)
    assert all(guard.says.endswith(".") and guard.why == "i1: the shop is down" for guard in guards)
    assert {guard.environments for guard in guards} == {(environment,) if environment else ()}

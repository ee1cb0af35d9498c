"""Alternatives belong to the package whose program they lead to; one that changes hands belongs to nobody."""

from __future__ import annotations

from typing import Optional

import pytest

from backout.lens.alternatives import claimed
from backout.model.effect import RawEffect
from backout.model.state import State
from kit.trees import link, regular

LISTED = {"figlet": [b"/usr/bin/figlet-figlet"], "toilet": [b"/usr/bin/figlet-toilet"]}
CHOSEN, NAME, ADMIN = b"/etc/alternatives/figlet", b"/usr/bin/figlet", b"/var/lib/dpkg/alternatives/figlet"
OURS, THEIRS, CHOICE = link("/usr/bin/figlet-figlet"), link("/usr/bin/figlet-toilet"), link("/etc/alternatives/figlet")
STRANGER = link("/opt/figlet/bin/figlet")

Side = Optional[State]


def raw(*rows: tuple[bytes, Side, Side]) -> dict[bytes, RawEffect]:
    """Effects by path."""
    return {path: RawEffect(path, before, after) for path, before, after in rows}


@pytest.mark.parametrize("added", [True, False])
def test_the_links_that_a_package_s_scripts_make_or_remove_are_its_own(added: bool) -> None:
    """Whoever expects figlet to be installed expects a figlet to be there; five links more are no surprise."""

    def sides(state: State) -> tuple[Side, Side]:
        return (None, state) if added else (state, None)

    effects = raw((CHOSEN, *sides(OURS)), (NAME, *sides(CHOICE)), (ADMIN, *sides(regular(b"auto"))))
    assert claimed(effects, LISTED) == {"figlet": {CHOSEN, NAME, ADMIN}}


@pytest.mark.parametrize(
    ("before", "after"), [(THEIRS, OURS), (STRANGER, OURS), (None, STRANGER), (OURS, regular(b"a program"))]
)
def test_an_alternative_that_changes_hands_is_nobody_s(before: Side, after: Side) -> None:
    """Law 2: another program answers to that name from now on, and a person should see it."""
    assert claimed(raw((CHOSEN, before, after)), LISTED) == {}


def test_the_record_of_an_alternative_that_others_have_part_in_stays_a_file() -> None:
    """It is claimed with the link that it is about, or not at all."""
    effects = raw((CHOSEN, OURS, OURS), (ADMIN, regular(b"one"), regular(b"two")))
    assert ADMIN not in claimed(effects, LISTED).get("figlet", set())

"""What is shown of several hosts fits on a screen, and names what a person must do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backout.render.rollout import names, outcome, rehearsals
from backout.render.screen import Screen

SAMPLE = Path(__file__).parents[2] / "formats" / "rehearsals-1.json"
SCREEN = Screen(80, 24)


@pytest.fixture
def document() -> dict[str, Any]:
    """Give a fresh copy of the recorded document."""
    loaded: dict[str, Any] = json.loads(SAMPLE.read_text())
    return loaded


def test_the_odd_host_is_shown_with_what_it_alone_would_get(document: dict[str, Any]) -> None:
    """In three lines: what is only there, what is not there, what comes out otherwise."""
    meant, odd = document["groups"]
    odd["effects"].append({**odd["effects"][0], "kind": "python-package", "subject": "/srv/venv:flask"})
    meant["effects"] += [{**odd["effects"][0], "subject": f"/srv/{n}"} for n in range(30)]
    lines = rehearsals(document, SCREEN).splitlines()
    assert lines[:3] == [
        "Hosts      3 alike: web1, web2, web3",
        "           web4 differs:",
        "             only there: python-package:/srv/venv:flask",
    ]
    assert lines[3].startswith("             not there (30): file:/srv/0, ")
    assert lines[3].endswith("…")
    assert lines[4] == "             otherwise: file:/srv/shop/gunicorn.conf.py"
    assert max(map(len, lines)) <= 80


def test_of_many_hosts_a_few_are_named_and_the_rest_counted() -> None:
    """Fifty names in a line are read by nobody."""
    assert names([f"web{n}" for n in range(1, 39)], SCREEN) == "web1, web2, web3, web4 and 34 more"
    assert names(["web\x1b[2J"], SCREEN) == "web\\e[2J"


def test_hosts_that_are_left_out_for_one_reason_share_a_line(document: dict[str, Any]) -> None:
    """With the reason, once."""
    gone = {"exit_code": 1, "what": "It was not reached.", "state": "Nothing was changed.", "next": ""}
    document["failed"] = [{"host": f"db{n}", **gone} for n in range(6)]
    said = rehearsals(document, SCREEN)
    assert said.count("left out") == 1
    assert "db0, db1, db2, db3 and 2 more left out: It was not reached." in said
    assert rehearsals({**document, "groups": []}, SCREEN).count("\n") == 1


def test_what_became_of_a_rollout_says_how_to_go_on_and_how_to_go_back(document: dict[str, Any]) -> None:
    """Under stress nobody puts these together by hand."""
    said = outcome(document, SCREEN)
    rollout = document["rollout"]["id"]
    assert f"go on:     backout run -e production --resume {rollout}\n" in said
    assert f"take back: backout back -e production {rollout}\n" in said
    assert "web3 backed out: Check 'answers' was healthy and is unhealthy" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_rollout_that_is_done_offers_only_the_way_back(document: dict[str, Any]) -> None:
    """There is nothing to go on with."""
    for row in document["rollout"]["hosts"]:
        row.update(state="kept", exit_code=0)
    said = outcome(document, SCREEN)
    assert ("--resume" in said, "take back" in said) == (False, True)


def test_a_lost_host_is_told_how_its_ledger_decides(document: dict[str, Any]) -> None:
    """Its state is not known here; the next contact finds out."""
    way_on = "backout recover -e production"
    document["rollout"]["hosts"][2].update(state="unknown", what="The link was cut.", next=way_on)
    assert f"Next       {way_on}\n" in outcome(document, SCREEN)

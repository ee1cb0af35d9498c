"""What is told of guards: everything that the file says, what is wrong with it, and what they would have done."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from backout.render.guard import guard_test, guards
from backout.render.screen import Screen

SAMPLES = Path(__file__).parents[2] / "formats"
SCREEN = Screen(80, 24)


def sample(name: str) -> dict[str, Any]:
    """A document as the program wrote it."""
    document: dict[str, Any] = json.loads((SAMPLES / name).read_text())
    return document


def test_every_guard_is_told_with_all_that_the_file_says_of_it() -> None:
    """Who reads the list must not need the file."""
    document = sample("guards-1.json")
    drawn = " ".join(guards(document, SCREEN).split())
    for row in document["guards"]:
        for name in ("name", "why", "says", "owner", "review_by", "incident"):
            assert row[name] is None or row[name] in drawn
    assert drawn.count("Guard ") == len(document["guards"])
    assert "--override max-jump --why TEXT passes it" in drawn
    assert "most python-package 2" in drawn


def test_what_is_wrong_with_a_guard_stands_out() -> None:
    """A review that is past is nothing that somebody finds by reading."""
    coloured = guards(sample("guards-1.json"), SCREEN._replace(color=True))
    assert "\x1b[1;31mIts review was due on 2026-10-31." in coloured


@pytest.mark.parametrize("config", [None, "/srv/shop/backout.toml"])
def test_without_a_guard_the_way_to_one_is_told(config: str | None) -> None:
    """An empty answer is no help."""
    drawn = guards({"config": config, "guards": []}, SCREEN)
    assert "backout guard add RULE --why TEXT" in drawn
    assert (config or "There is no backout.toml") in drawn
    assert "backout guard add RULE --why TEXT" in guard_test({"guards": [], "unreached": []}, SCREEN)


def test_refused_changes_are_told_by_what_they_did() -> None:
    """Worth first, price second, and what was refused anyway last."""
    drawn = guard_test(sample("guard-test-1.json"), SCREEN, UTC)
    first = drawn.split("Guard      few-packages")[0]
    places = [first.index(word) for word in ("In short", "Worth", "backed out", "taken back", "Price", "Anyway")]
    assert places == sorted(places)
    assert "its worth, 2 that did" in first
    assert max(map(len, drawn.splitlines())) <= SCREEN.width


def test_of_many_refused_changes_a_few_are_named_and_the_rest_counted() -> None:
    """A guard that refuses everything must not bury the one after it."""
    document = sample("guard-test-1.json")
    row = document["guards"][0]
    price = next(change for change in row["refused"] if change["harm"] is None and not change["refused_anyway"])
    row["refused"] = [{**price, "change": f"20261123-17{at:04}-kfd"} for at in range(40)]
    drawn = guard_test({**document, "guards": [row]}, SCREEN, UTC)
    assert "… and 35 more (--json)" in drawn
    assert drawn.count("redis 4.4.2 -> 8.1.0") == 5


def test_what_cannot_be_told_says_why() -> None:
    """A change that nobody knows any more is no change that was let through."""
    document = sample("guard-test-1.json")
    row = document["guards"][0] | {
        "not_judged": [{"why": "Its effects are not known any more.", "changes": ["a", "b"]}]
    }
    unreached = [{"environment": "production", "host": "web2", "what": "web2: no route to host."}]
    drawn = guard_test({**document, "guards": [row], "unreached": unreached}, SCREEN, UTC)
    assert "Not judged 2 changes: Its effects are not known any more." in drawn
    assert "web2 was not reached: of its changes the journal told what it has." in " ".join(drawn.split())


def test_what_a_host_told_is_never_obeyed_by_the_terminal() -> None:
    """A command line may hold anything."""
    document = sample("guard-test-1.json")
    document["guards"][0]["refused"][0]["command"] = ["printf \x1b]0;owned\x07"]
    assert "\x1b" not in guard_test(document, SCREEN, UTC)

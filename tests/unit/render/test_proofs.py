"""What is told of proofs: what would prove, what holds, and the way on where something does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backout.render.proofs import candidates, proofs
from backout.render.screen import Screen

SAMPLES = Path(__file__).parents[2] / "formats"
SCREEN = Screen(80, 24)


def sample(name: str) -> dict[str, Any]:
    """A document as the program wrote it."""
    document: dict[str, Any] = json.loads((SAMPLES / name).read_text())
    return document


def test_what_would_prove_is_told_with_its_price_and_what_was_left_out_with_its_reason() -> None:
    """A person chooses by the price; and whoever misses a guard must not guess why."""
    document = sample("candidates-1.json")
    drawn = " ".join(candidates(document, SCREEN).split())
    for row in document["candidates"]:
        assert all(text in drawn for text in (row["name"], row["why"], row["cost"], row["says"]))
    assert all(row["name"] in drawn and row["why"] in drawn for row in document["left_out"])
    assert drawn.endswith("Next backout review guard --add 1")
    assert max(map(len, candidates(document, SCREEN).splitlines())) <= SCREEN.width


def test_where_nothing_would_prove_the_way_on_is_told() -> None:
    """An empty answer is no help."""
    drawn = candidates({**sample("candidates-1.json"), "candidates": []}, SCREEN)
    assert "Nothing that is known here would have refused it." in drawn
    assert drawn.endswith(f"Next       {sample('candidates-1.json')['narrower']}\n")


def test_what_was_added_is_shown_as_it_stands_in_the_file_with_the_line_for_the_action() -> None:
    """What goes to a client and what goes into the review are read here, before anything else."""
    row = {**sample("proofs-1.json")["proofs"][0], "result": "held", "cost": "It costs nothing."}
    added = {"file": "/srv/backout.toml", "name": "stays", "text": '\n[[guards]]\nname = "stays"\n'}
    drawn = candidates({**sample("candidates-1.json"), "added": added, "proof": row}, SCREEN)
    assert drawn.startswith('Added to /srv/backout.toml:\n\n[[guards]]\nname = "stays"\n')
    assert "It costs nothing." in drawn
    assert f"- proof: guard {row['name']}" in drawn


def test_each_proof_says_whether_it_holds_and_the_red_one_what_to_do() -> None:
    """What a guard would have cost says nothing of one that refuses no more."""
    document = sample("proofs-1.json")
    red, held = document["proofs"]
    drawn = proofs(document, SCREEN)
    assert f"Guard      {red['name']}  does not hold any more  {red['incident']}" in drawn
    assert f"Check      {held['name']}  holds" in drawn
    assert " ".join(red["next"].split()) in " ".join(drawn.split())
    assert red["cost"] and red["cost"][:20] not in drawn  # noqa: PT018 - it is there, and not shown
    unneeded = proofs({**document, "proofs": [{**red, "needed": False}]}, SCREEN)
    assert "Nothing stands on it any more" in unneeded
    assert "Next" not in unneeded
    untold = {**held, "result": "not told", "next": "backout split -- CMD", "held_at": "2026-11-29T00:03:40+00:00"}
    assert "on 2026-11-29, and counts" in proofs({**document, "proofs": [untold]}, SCREEN)
    assert "There is no proof on record." in proofs({**document, "proofs": []}, SCREEN)


def test_what_others_wrote_is_never_obeyed_by_the_terminal() -> None:
    """A command line, a check's output and a name may hold anything."""
    document = sample("candidates-1.json")
    document["bad"]["command"] = ["printf \x1b]0;owned\x07"]
    document["left_out"][0]["why"] = "\x1b[2J"
    assert "\x1b" not in candidates(document, SCREEN)

"""What a person sees before and after sending."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from backout.render.screen import Screen
from backout.render.tell import outcome, preview

SAMPLES = Path(__file__).parents[2] / "formats"
SCREEN = Screen(80, 24)


def told(**changed: Any) -> dict[str, Any]:
    """The sample in which one of two failed, with that delivery changed."""
    document: dict[str, Any] = json.loads((SAMPLES / "tell-1.json").read_text())
    document["notices"][0]["deliveries"][1] |= changed
    return document


def test_doubtful_words_are_marked_where_they_stand_and_named_below() -> None:
    """A mark alone does not say what is wrong; a remark alone does not say where."""
    shown = preview(json.loads((SAMPLES / "tell-preview-1.json").read_text()), SCREEN)
    assert "*because*" in shown
    assert '"because" is a cause' in shown


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ["FAILED", "550 5.1.1 no such user here", "backout tell --retry"]),
        ({"state": "given up", "retry_at": None}, ["GIVEN UP", "backout tell --again 6"]),
        ({"state": "unknown", "retry_at": None}, ["UNKNOWN", "backout tell --sent 6", "backout tell --again 6"]),
        ({"overtaken": True, "retry_at": None}, ["A later word is there, or on its way"]),
    ],
)
def test_what_did_not_arrive_says_what_to_do(changed: dict[str, Any], said: list[str]) -> None:
    """Loud, and with the command to paste."""
    shown = outcome(told(**changed), SCREEN, UTC)
    assert [words for words in said if words not in shown] == []


def test_what_a_server_says_is_shown_and_not_obeyed() -> None:
    """Its words come from a machine that we do not know."""
    assert "\x1b" not in outcome(told(reply="\x1b[2Jgone"), SCREEN, UTC)

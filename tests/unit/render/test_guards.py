"""What guards said of a change, in its report and in the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backout.render.guards import in_words, passed
from backout.render.report import Wish, report
from backout.render.screen import Screen

SAMPLES = Path(__file__).parents[2] / "formats"
SCREEN = Screen(80, 24)


def document() -> dict[str, Any]:
    """A rehearsal that two guards refused, and of which a third was passed."""
    read: dict[str, Any] = json.loads((SAMPLES / "guarded-1.json").read_text())
    return read


def test_a_guard_that_was_passed_has_its_place_and_one_that_refused_stands_in_the_verdict() -> None:
    """What was passed is what people look for later; what refuses is what they read now."""
    drawn = report(document(), SCREEN)
    assert "Guards     max-jump overridden: 2 packages cross a major version: flask" in drawn
    assert "           Guard few-packages: 3 python-package effects" in drawn.partition("Verdict")[2]
    assert all(len(line) <= SCREEN.width for line in drawn.splitlines())
    assert len(drawn.splitlines()) < SCREEN.height


def test_a_full_report_tells_all_that_was_said() -> None:
    """Folded text hides the reason why a guard is there."""
    (row,) = [row for row in document()["guards"] if row["outcome"] == "overridden"]
    full = " ".join(report(document(), SCREEN, Wish(full=True)).split())
    assert row["reasons"][0] in full


def test_a_long_name_and_odd_letters_break_no_line() -> None:
    """Names are the operator's, reasons a program's: neither may draw over the rest of the screen."""
    row = {"name": "n" * 90, "rule": "command", "outcome": "warned", "reasons": ["\x1b[31mred\x07 " * 40]}
    lines = passed({"guards": [row]}, SCREEN, full=False)
    assert len(lines) == 2
    assert "\x1b" not in "".join(line.plain for line in lines)
    assert passed({}, SCREEN, full=False) == []


def test_the_log_says_in_a_few_words_what_became_of_guards() -> None:
    """One line a change has no room for reasons."""
    assert in_words(document()["guards"]) == "overrode max-jump, refused by few-packages and no-packages"
    assert in_words([{"name": "window", "outcome": "warned"}]) == "warned by window"
    assert in_words([]) == ""

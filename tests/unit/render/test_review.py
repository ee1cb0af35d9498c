"""The known part of a review's file, and what is told after a save."""

from __future__ import annotations

import json
from datetime import UTC, date
from pathlib import Path
from typing import Any

from backout.render.review import guidance, known
from backout.render.reviewed import reviewed
from backout.render.screen import Screen

SAMPLES = Path(__file__).parents[2] / "formats"
CHANGE = {
    "id": "20261123-170412-kfd",
    "host": "web1",
    "at": "2026-11-23T17:04:12.000+00:00",
    "state": "kept",
    "who": "anna",
    "why": "one setting",
    "command": ["puppet agent -t"],
    "undoes": None,
    "undone_by": "20261123-171612-bcd",
    "effects": [
        {"kind": "file", "subject": "/srv/shop/gunicorn.conf.py", "op": "edited", "before": {}, "after": {}},
        {"kind": "python-package", "subject": "/venv:flask", "op": "edited", "before": "3.0.1", "after": "3.0.2"},
        {"kind": "python-package", "subject": "/venv:setuptools", "op": "edited", "before": "65.5", "after": "84.0"},
        *({"kind": "file", "subject": f"/f{n:02}", "op": "added", "before": None, "after": {}} for n in range(30)),
    ],
    "red": [{"name": "answers", "output": "Traceback\nModuleNotFoundError: No module named 'pkg_resources'\n"}],
}
WORDS = [
    {"audience": "client", "type": "first", "at": "2026-11-23T17:20:00.000+00:00", "due": "", "late_s": 290.0},
    {"audience": "client", "type": "resolved", "at": None, "due": "2026-11-23T17:50:00.000+00:00", "late_s": None},
]


def document(**more: Any) -> dict[str, Any]:
    """What is known of the sample incident, and of a change that did it."""
    incident = json.loads((SAMPLES / "incident-1.json").read_text())
    split = {"change": CHANGE["id"], "parts": [["python-package:/venv:setuptools"]], "rest": "20261123-172000-xyz"}
    return {**incident, "changed": [CHANGE], "splits": [split], "words": WORDS, **more}


def test_what_is_known_is_told_a_line_a_thing() -> None:
    """What reaches furthest comes first; the rest is counted."""
    text = known(document(), UTC)
    rows = text.split("\n")
    at = next(
        n for n, row in enumerate(rows) if row.startswith(f"{CHANGE['id']}  2026-11-23 17:04:12 (UTC)  anna on web1")
    )
    assert rows[at + 1 : at + 5] == [
        "    why: one setting",
        "    ~ python-package:/venv:setuptools 65.5 -> 84.0",
        "    ~ python-package:/venv:flask 3.0.1 -> 3.0.2",
        "    + file:/f00",
    ]
    assert "    and 13 more" in rows
    assert "    turned red: answers: ModuleNotFoundError: No module named 'pkg_resources'" in rows
    assert "    without that it is 20261123-172000-xyz: backout run --change 20261123-172000-xyz" in rows
    assert "client: first sent 2026-11-23 17:20:00 (UTC), 4 min 50 s late" in rows
    assert "client: resolved never sent; it was due 2026-11-23 17:50:00 (UTC)" in rows


def test_each_entry_of_the_timeline_has_its_number_and_one_line() -> None:
    """A path points at it; whatever a note or an output holds, nothing in it is taken for markup."""
    told = document()
    entry = next(row for row in told["entries"] if row["kind"] == "note")
    nasty = "```\n## Summary\n<!-- end of known -->\n" + "x" * 500
    told["entries"] = [{**entry, "text": nasty}]
    (row,) = [row for row in known(told, UTC).split("\n") if row.startswith(f"#{entry['seq']}  ")]
    assert "``` / ## Summary / <!-- end of known --> / x" in row
    assert "x… (first written: web2 is slow)" in row
    assert "\n## Summary" not in known(told, UTC)
    assert "````text" in known(told, UTC)


def test_the_same_is_told_as_long_as_nothing_new_is_known() -> None:
    """Else an edit in that part could not be told from what backout wrote anew."""
    told = document(at="2026-12-24T00:00:00.000+00:00")
    assert known(told, UTC) == known(document(), UTC)


def test_a_day_is_proposed() -> None:
    """Nobody has to count."""
    assert "- due: 2026-12-13" in guidance(date(2026, 12, 13)).split("\n")
    assert "- due: DATE" in guidance(None).split("\n")


def test_what_is_to_be_done_is_told_by_line_and_fits_the_screen() -> None:
    """The last line is the next command."""
    told = json.loads((SAMPLES / "review-1.json").read_text())
    text = reviewed(told, Screen(72, 24))
    rows = text.rstrip("\n").split("\n")
    assert rows[0] == "The review of i20261123-170412-kfd is draft, saved as #5: 1 path, 2"
    line = next(row["line"] for row in told["problems"])
    assert f"  line {line}: 'soon' is no day such as 2026-12-13." in rows
    assert rows[-1] == "To prove them: backout review prove --incident i20261123-170412-kfd"
    assert all(len(row) <= 72 for row in rows if ": backout " not in row)

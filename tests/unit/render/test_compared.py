"""How a rehearsal differs from the same command elsewhere is told in a sentence, then by name, in full on demand."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from backout.render.canvas import text_of
from backout.render.compared import comparison, counts_text
from backout.render.screen import Screen

COMPARED = {
    "environment": "staging",
    "change": "20261123-170412-kfd",
    "at": "2026-11-23T17:04:12.000+00:00",
    "state": "kept",
    "reached": True,
    "as_of": None,
    "there": {"file": 1},
    "here": {"file": 1, "python-package": 45},
    "only_here": [
        {"kind": "python-package", "subject": f"/srv/venv:package{number:02}", "before": "1.0", "after": "2.0"}
        for number in range(45)
    ],
    "only_there": [],
    "excepted": [],
    "next": "backout run -e staging -- make",
}


def drawn(*, full: bool = False, next: str = "", **compared: Any) -> str:
    """The lines, as one text."""
    document = {"compared": {**COMPARED, **compared}, "verdict": {"reasons": [{"next": next}]}}
    return text_of(comparison(document, Screen(), full=full, zone=UTC), Screen())


def test_what_the_story_began_with_is_one_sentence_and_one_line() -> None:
    """Who reads it in a hurry has to see that one file became one file and 45 packages."""
    assert drawn().splitlines() == [
        "Compared   On staging (20261123-170412-kfd, 2026-11-23 17:04 UTC): 1 file; here:",
        "           1 file and 45 Python packages.",
        "           Only here: package00 1.0 → 2.0, package01 1.0 → 2.0, 43 more (--full)",
    ]


def test_the_whole_list_is_there_with_full() -> None:
    """What is folded away can be unfolded."""
    lines = drawn(full=True).splitlines()
    assert sum("1.0 → 2.0" in line for line in lines) == 45


def test_what_became_of_it_and_how_old_that_is_stands_beside_it() -> None:
    """A change that was taken back is no example, and a staging that is down may be another one by now."""
    text = " ".join(drawn(state="undone", as_of="2026-11-24T08:00:00+00:00", reached=False).split())
    assert "17:04 UTC, taken back since, as of 2026-11-24 08:00 UTC)" in text


def test_where_nothing_was_run_the_command_to_do_so_is_told_once() -> None:
    """A refusal tells it already, below."""
    nothing: dict[str, Any] = {"change": None, "at": None, "state": None, "there": {}, "only_here": []}
    line = "Compared   Not run on staging. To do so: backout run -e staging -- make\n"
    assert drawn(**nothing) == line
    assert drawn(**nothing, next="backout run -e staging -- make") == "Compared   Not run on staging.\n"


def test_what_is_meant_to_differ_is_counted_and_with_full_explained() -> None:
    """An exception is no secret."""
    rules = [{"what": "file:/a", "why": "each its own", "count": 1}]
    same: dict[str, Any] = {"here": {"file": 1}, "only_here": [], "excepted": rules}
    assert "here: the same, 1 of them meant to differ." in " ".join(drawn(**same).split())
    assert "1 meant to differ, file:/a: each its own" in drawn(**same, full=True)


def test_every_difference_has_its_words() -> None:
    """A name alone does not tell what becomes of it."""
    rows = [
        {"kind": "service", "subject": "shop.service", "before": None, "after": {"requests": ["restart"]}},
        {"kind": "debian-package", "subject": "nginx", "before": "1.22", "after": None},
        {"kind": "file", "subject": "/etc/\x1b[2J", "before": None, "after": {"type": "file"}},
    ]
    text = drawn(only_there=rows, only_here=[])
    assert "Only there: shop.service restart, nginx removed, $'/etc/\\e[2J'" in text


def test_numbers_are_told_as_people_say_them() -> None:
    """Files first, which is what was meant most often; then what reaches further."""
    assert counts_text({}) == "nothing"
    assert counts_text({"cron": 2}) == "2 cron entries"
    assert counts_text({"service": 1, "file": 3, "config": 2}) == "3 files, 2 settings and 1 service"

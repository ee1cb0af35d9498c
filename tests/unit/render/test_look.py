"""What a look is drawn as: short, escaped, and with what ends soon in it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from backout.render import look
from backout.render.screen import Screen

SCREEN = Screen()


def document(**fields: Any) -> dict[str, Any]:
    """A look at a small host."""
    return {
        "schema": "backout.facts/1",
        "environment": "production",
        "host": "web1",
        "at": "2026-11-24T22:53:06.704+00:00",
        "took_s": 1.26,
        "skew_s": 0.0,
        "counts": {"os": 2, "certificate": 2},
        "files": {"seen": 0, "hashed": 0, "known": 0, "how": "by ctime"},
        "limits": [],
        "facts": [("os", "PRETTY_NAME", "Debian GNU/Linux 12"), ("kernel", "release", "6.1.0-9")],
        **fields,
    }


def drawn(news: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    """Its lines."""
    return look.block(document(**fields), news, SCREEN, UTC).splitlines()


def test_a_quiet_host_takes_four_lines() -> None:
    """What is as it should be needs no words."""
    assert drawn() == [
        "web1  2026-11-24 22:53 UTC  in 1.3 s",
        "System     Debian GNU/Linux 12, kernel 6.1.0-9",
        "Facts      2 os, 2 certificate",
        "New        this is the first look",
    ]


def test_what_is_new_is_counted() -> None:
    """By kind, and by what became of it; nothing is said to be nothing."""
    news = {"since": "2026-11-23T00:00:00+00:00", "counts": {"file": {"removed": 2, "edited": 1}, "user": {"added": 1}}}
    assert drawn(news)[3] == "New        1 file edited, 2 file removed, 1 user added, since 2026-11-23 00:00"
    assert drawn({**news, "counts": {}})[3] == "New        nothing, since 2026-11-23 00:00 UTC"


def test_certificates_that_end_soon_or_have_ended_are_told_soonest_first() -> None:
    """The one alarm that everybody has slept through; a date that no calendar has is no reason to tell nothing."""
    ends = ("2026-12-01", "2026-11-20", "2027-06-01", "2026-99-99")
    facts = [
        ("certificate", f"/{end}.pem", {"subject": "CN=\x1bshop", "not_after": f"{end}T23:00:00Z"}) for end in ends
    ]
    lines = drawn(facts=[*facts, ("certificate", "/odd", "odd")])
    at = next(at for at, line in enumerate(lines) if line.startswith("Expires"))
    assert lines[at:] == [
        "Expires    /2026-11-20.pem ended 4 days ago (CN=\\eshop)",
        "           /2026-12-01.pem ends in 7 days (CN=\\eshop)",
    ]


def test_a_clock_that_is_off_and_what_was_not_read_are_told() -> None:
    """Times of that host's record are off as far; and what is missing is never silently missing."""
    lines = drawn(skew_s=-7.2, limits=[f"limit {number}" for number in range(20)], files=SEEN)
    assert "Files      9 files seen: 1 hashed, 8 known by ctime" in lines
    assert "Clock      7 s behind this machine's" in lines
    assert lines[-1] == "           … and 12 more (--json lists all)"


SEEN = {"seen": 9, "hashed": 1, "known": 8, "how": "by ctime"}


def test_a_fact_is_a_line_whatever_is_in_it() -> None:
    """It is for grep, and no host writes to the terminal."""
    assert look.row(("file", "/a\nb", {"type": "dir"}), SCREEN) == 'file  $\'/a\\nb\'  {"type": "dir"}\n'
    assert look.row(("os", "ID", "de\x1b[2Jbian"), SCREEN) == "os  ID  de\\e[2Jbian\n"

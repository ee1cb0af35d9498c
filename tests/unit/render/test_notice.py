"""How notices read: the state in the subject, times with their zone, the same words as text and as HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backout.model.notice import FIELDS, TYPES
from backout.render.notice import Written, notice, time_text

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


def written(type: str = "first", environment: str = "production", **fields: Any) -> Written:
    """Write a notice of the usual state."""
    status = "resolved" if type == "resolved" else "investigating"
    return notice(type, status=status, impact="critical", environment=environment, fields=fields, zone=BERLIN)


class Shown(HTMLParser):
    """What a mail program would show of a page, and which tags and attributes it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", set[str](), set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data


@pytest.mark.parametrize("type", TYPES)
def test_every_field_that_a_notice_must_hold_stands_in_text_and_html(type: str) -> None:
    """A field that is asked for and not shown would be a promise that nobody reads."""
    fields: dict[str, Any] = {
        name: NOON if name in ("next_at", "since") else f"the {name} & <so>" for name in FIELDS[type]
    }
    told = written(type, **fields)
    shown = Shown(told.html)
    for value in fields.values():
        words = time_text(NOON, BERLIN) if value == NOON else str(value)
        assert words in told.plain
        assert words in shown.text
    assert told.subject.startswith("[resolved] production: " if type == "resolved" else "[investigating] production: ")


def test_what_was_typed_cannot_become_markup_and_nothing_is_loaded_from_elsewhere() -> None:
    """Whoever fills in an error message of the site must not write our mail."""
    told = written(seen='<script src="https://evil.example/x"></script><img src=x>', next_at=NOON)
    shown = Shown(told.html)
    assert shown.tags <= {"html", "head", "meta", "title", "body", "p", "strong", "br"}
    assert shown.attributes <= {"lang", "charset"}
    assert "<script" in shown.text


def test_a_subject_is_one_short_line_whatever_was_typed() -> None:
    """A line break in a header is how mail is forged (RFC 5322, 2.2)."""
    told = written(seen="down\r\nBcc: all@client.example\n" + "x" * 500 + "\x1b[31m\udcff", next_at=NOON)
    assert told.subject == "[investigating] production: down"
    long = written(seen="x " * 500, next_at=NOON)
    assert len(long.subject) <= 120
    assert "\n" not in long.subject
    told.plain.encode()
    assert "\x1b" not in told.plain + told.html


def test_an_incident_of_this_machine_alone_has_no_environment_in_its_subject() -> None:
    """Clients know nothing of our names."""
    assert written(environment="", seen="down", next_at=NOON).subject == "[investigating] down"


def test_times_have_their_zone_written_out_also_in_the_hour_that_comes_twice() -> None:
    """In the night when clocks are set back, 02:30 alone is two times."""
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp() for hour in (0, 1))
    assert time_text(first, BERLIN) == "2026-10-25 02:30 (Europe/Berlin, UTC+02:00)"
    assert time_text(second, BERLIN) == "2026-10-25 02:30 (Europe/Berlin, UTC+01:00)"
    assert time_text(first, UTC) == time_text(first, ZoneInfo("UTC")) == "2026-10-25 00:30 (UTC)"
    assert time_text(first, ZoneInfo("Asia/Kathmandu")) == "2026-10-25 06:15 (Asia/Kathmandu, UTC+05:45)"

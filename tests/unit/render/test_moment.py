"""When it happened, as people write it: in their own zone, and never guessed in silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from backout.render.moment import clock_text, moment

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 28, 14, 30, tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("14:03", "2026-11-28T14:03+01:00"),
        ("9:15:07", "2026-11-28T09:15:07+01:00"),
        ("23:55", "2026-11-27T23:55+01:00"),
        ("yesterday 14:03", "2026-11-27T14:03+01:00"),
        ("10m ago", "2026-11-28T14:20+01:00"),
        ("1h 30 min ago", "2026-11-28T13:00+01:00"),
        ("2 hours ago", "2026-11-28T12:30+01:00"),
        ("now", "2026-11-28T14:30+01:00"),
        ("2026-07-01 14:03", "2026-07-01T14:03+02:00"),
        ("2026-11-28T14:03 UTC", "2026-11-28T14:03+00:00"),
        ("13:03Z", "2026-11-28T13:03+00:00"),
        ("14:03 +0530", "2026-11-28T14:03+05:30"),
        ("2026-11-28 08:03 America/New_York", "2026-11-28T08:03-05:00"),
    ],
)
def test_a_time_is_understood_in_the_reader_s_zone_unless_another_is_named(text: str, when: str) -> None:
    """A time without a date is the last such time: at night it was yesterday's."""
    assert moment(text, NOW, BERLIN) == (datetime.fromisoformat(when).timestamp(), "")


@pytest.mark.parametrize(
    "text", ["teatime", "25:00", "14", "10m", "5 apples ago", "2026-13-01 10:00", "14:03 No/Zone", ""]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """It would otherwise put a line where nobody looks for it."""
    with pytest.raises(ValueError, match="no time"):
        moment(text, NOW, BERLIN)


def test_a_time_that_was_there_twice_is_taken_as_the_first_and_the_other_is_told() -> None:
    """Clocks were put back from three to two."""
    found = moment("2026-10-25 02:30", NOW, BERLIN)
    assert found.at == datetime.fromisoformat("2026-10-25T02:30+02:00").timestamp()
    assert found.doubt == (
        "2026-10-25 02:30 was there twice; it is taken as the first, 02:30 CEST. The other is written +0100."
    )
    other = moment("2026-10-25 02:30 +0100", NOW, BERLIN)
    assert (other.at - found.at, other.doubt) == (3600, "")


def test_a_time_that_was_skipped_is_told() -> None:
    """Clocks were put forward from two to three."""
    found = moment("2026-03-29 02:30", NOW, BERLIN)
    assert clock_text(found.at, NOW, BERLIN) == "2026-03-29 03:30 CEST"
    assert "skipped" in found.doubt


def test_the_zone_of_this_machine_counts_where_none_is_given(in_zone: Callable[[str], None]) -> None:
    """It is the reader's."""
    in_zone("Asia/Kolkata")
    assert clock_text(moment("2026-11-28 14:03", NOW).at, NOW) == "14:03 IST"
    assert "2026-11-28 14:03 CET" in clock_text(moment("2026-11-28 14:03", NOW, BERLIN).at, 0, BERLIN)

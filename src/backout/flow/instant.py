"""Times and days as documents have them."""

from __future__ import annotations

from datetime import UTC, date, datetime


def instant(seconds: float) -> str:
    """Write seconds since the epoch as documents do: RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def instant_if_known(seconds: float | None) -> str | None:
    """Write a time that may not be known."""
    return None if seconds is None else instant(seconds)


def day_if_known(day: date | None) -> str | None:
    """Write a day that may not be known, such as 2026-11-23."""
    return None if day is None else day.isoformat()

"""A time as documents have it."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(seconds: float) -> str:
    """Write seconds since the epoch as documents do: RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")

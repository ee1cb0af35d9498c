"""Times as people write them, in their own zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

_AGO = re.compile(r"((?:\d+ *[a-z]+ *)+)ago", re.IGNORECASE)
_PART = re.compile(r"(\d+) *(s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?|d|days?)(?![a-z])", re.IGNORECASE)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(
    r"(?:(?P<date>\d{4}-\d{2}-\d{2}|today|yesterday)[ T]+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
    r"(?: *(?P<zone>Z|UTC|[+-]\d{2}:?\d{2}|[A-Z][A-Za-z_]+/[A-Za-z_/+-]+))?",
    re.IGNORECASE,
)
_SOON_S = 60
"""A time without a date that is further ahead was yesterday's."""


class Moment(NamedTuple):
    """A time in seconds since the epoch, and what there is to say about how it was understood; empty: nothing."""

    at: float
    doubt: str = ""


def moment(text: str, now: float, zone: tzinfo | None = None) -> Moment:
    """Read `14:03`, `2026-11-28 14:03`, `yesterday 14:03`, `10m ago` or `now`, in a zone (None: this machine's).

    A zone may follow the time: `UTC`, `+01:00`, `Europe/Berlin`. Without a date it is the last such time. One that was
    there twice, or never, when clocks were put back or forward, is told as a doubt. ValueError where it is no time.
    """
    try:
        return _read(text, now, zone)
    except (ValueError, OverflowError):
        raise ValueError(f"no time: {text}") from None


def _read(text: str, now: float, zone: tzinfo | None) -> Moment:
    words = " ".join(text.split())
    if words.lower() == "now":
        return Moment(now)
    if (ago := _AGO.fullmatch(words)) is not None:
        parts = _PART.findall(ago[1])
        if _PART.sub("", ago[1]).strip():
            raise ValueError(text)
        return Moment(now - sum(int(number) * _UNIT_S[unit[0].lower()] for number, unit in parts))
    found = _TIME.fullmatch(words)
    if found is None:
        raise ValueError(text)
    zone = _zone(found["zone"]) if found["zone"] else zone
    return _on_its_day(found, now, zone)


def clock_text(at: float, now: float, zone: tzinfo | None = None) -> str:
    """Write a time in a zone (None: this machine's), which is named; with the date where that is another."""
    here = _local(at, zone)
    is_today = here.date() == _local(now, zone).date()
    return here.strftime("%H:%M %Z" if is_today else "%Y-%m-%d %H:%M %Z")


def _on_its_day(found: re.Match[str], now: float, zone: tzinfo | None) -> Moment:
    today = _local(now, zone)
    date = (found["date"] or "").lower()
    day = today - timedelta(days=1) if date == "yesterday" else today
    if date[:1].isdigit():
        day = datetime.strptime(date, "%Y-%m-%d")  # noqa: DTZ007 - its zone comes below
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    naive = day.replace(hour=hour, minute=minute, second=second, microsecond=0, tzinfo=None, fold=0)
    read = _instant(naive, zone)
    if not date and read.at > now + _SOON_S:
        return _instant(naive - timedelta(days=1), zone)
    return read


def _instant(naive: datetime, zone: tzinfo | None) -> Moment:
    """Find when a clock on the wall showed this: once, twice, or never (PEP 495)."""
    first, second = (naive.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if first == second:
        return Moment(first)
    shown = naive.strftime("%Y-%m-%d %H:%M")
    if _local(first, zone).replace(tzinfo=None, fold=0) == naive:
        taken, other = _local(first, zone).strftime("%H:%M %Z"), _local(second, zone).strftime("%z")
        return Moment(
            first, f"{shown} was there twice; it is taken as the first, {taken}. The other is written {other}."
        )
    taken = _local(first, zone).strftime("%H:%M %Z")
    return Moment(first, f"{shown} was skipped when the clocks were put forward; it is taken as {taken}.")


def _local(at: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at, zone) if zone else datetime.fromtimestamp(at).astimezone()


def _zone(name: str) -> tzinfo:
    if name.upper() in ("Z", "UTC"):
        return timezone.utc  # noqa: UP017 - the name is what is shown
    if name[0] in "+-":
        hours, minutes = int(name[1:3]), int(name[-2:])
        return timezone((-1 if name[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # few write one

    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ValueError(name) from None

"""Refuses anything outside of some hours of the week."""

from __future__ import annotations

import re

from backout.model import convert
from backout.model.convert import WantedError
from backout.model.guard import Guard, Key, Known
from backout.model.verdict import Reason

UTC = "UTC"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
WEEK = 7 * DAY
_HOURS = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")


def _hours(value: object) -> tuple[int, int]:
    """Take "09:00-17:00"; give the minutes of the day. An end before the start is on the next day."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    begin, end = (60 * int(match[1]) + int(match[2]), 60 * int(match[3]) + int(match[4])) if match else (0, 0)
    if begin == end or begin >= DAY or end > DAY:
        raise WantedError('hours such as "09:00-17:00" or "22:00-04:00"', value)
    return begin, end


def _days(value: object) -> tuple[int, ...]:
    """Take a list of days and spans of days; give their numbers, Monday is 0."""
    wanted = f'a list of days such as ["mon-thu", "sat"], each one of {", ".join(DAYS)}'
    if not isinstance(value, list) or not value:
        raise WantedError(wanted, value)
    found = set()
    for item in value:
        first, dash, last = item.lower().partition("-") if isinstance(item, str) else ("", "", "")
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise WantedError(wanted, item)
        begin, end = DAYS.index(first), DAYS.index(last)
        found |= {day % 7 for day in range(begin, end + 1 if begin <= end else end + 8)}
    return tuple(sorted(found))


KEYS = {
    "hours": Key(_hours, 'text, needed: when a change may be made, such as `"09:00-17:00"`', required=True),
    "days": Key(_days, 'list of days: `["mon-thu", "sat"]`. Default: every day', default=tuple(range(7))),
    "zone": Key(
        convert.text, f'time zone of hours and days, such as `"Europe/Berlin"`. Default: `"{UTC}"`', default=UTC
    ),
}
NEEDS = ("moments",)


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse while the window is closed."""
    zone = guard.settings["zone"]
    now = (known.moments or {}).get(zone)
    if now is None:
        return [Reason(f"it cannot be judged, because it is not known what time it is in {zone}.")]
    if minutes(guard) >> (now.day * DAY + now.minute) & 1:
        return []
    return [Reason(f"it is {now.told} in {zone}, outside of {told(guard)}.", next=f"Wait for {told(guard)} in {zone}.")]


def told(guard: Guard) -> str:
    """Say when the window is open."""
    begin, end = guard.settings["hours"]
    days: tuple[int, ...] = guard.settings["days"]
    hours = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    return hours if len(days) == len(DAYS) else f"{', '.join(DAYS[day] for day in days)} {hours}"


def minutes(guard: Guard) -> int:
    """Give the minutes of the week at which the window is open, as a bit each: Monday 00:00 is the lowest."""
    begin, end = guard.settings["hours"]
    length = end - begin if begin < end else end + DAY - begin
    open_minutes = 0
    for day in guard.settings["days"]:
        open_minutes |= ((1 << length) - 1) << (day * DAY + begin)
    return open_minutes & ((1 << WEEK) - 1) | open_minutes >> WEEK

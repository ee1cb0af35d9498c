"""What only a closing letter says: how long its reader was without service, and when more will be known."""

from __future__ import annotations

from datetime import date, timedelta, tzinfo

from backout.model.downtime import UNKNOWN, Downtime
from backout.render.incident_story import duration_text
from backout.render.notice import time_text

_FRIDAY = 5
_MOST_SPANS = 5


def set_clocks(incident: str) -> str:
    """Give the command that makes known how long it was, where no check was seen red."""
    return f"backout note --incident {incident} --clock impact_started=TIME"


def how_long(down: Downtime, zone: tzinfo | None = None) -> str:
    """Say how long it was, and from when until when, in the reader's zone; nothing where that is not known."""
    if down.source == UNKNOWN:
        return ""
    if not down.spans:
        return "Not at all: what you use kept working."
    spans = [f"{time_text(start, zone)} to {time_text(end, zone)}" for start, end in down.spans]
    if len(spans) == 1:
        return f"{duration_text(down.seconds)}, from {spans[0]}."
    told = [f"from {span}" for span in spans[:_MOST_SPANS]]
    more = [f"and {len(spans) - _MOST_SPANS} times after that"] if len(spans) > _MOST_SPANS else []
    return f"{duration_text(down.seconds)} in all, {len(spans)} times: {'; '.join([*told, *more])}."


def not_known_yet(review: date) -> str:
    """Say that nobody knows yet whether it can happen again, and when that will be looked into."""
    return f"Not known yet; we review on {review:%Y-%m-%d}, and write to you again then."


def next_working_day(today: date) -> date:
    """Give the next day that is neither a Saturday nor a Sunday."""
    day = today + timedelta(days=1)
    while day.isoweekday() > _FRIDAY:
        day += timedelta(days=1)
    return day

"""What only a closing letter says: how long its reader was without service, and when more will be known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta, tzinfo

from backout.model.downtime import UNKNOWN, Downtime
from backout.model.review import ACCEPTED, CHECK, COMMAND, GUARD, HANDED, PREVENT, Action
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


def can_it_happen_again(actions: Iterable[Action], says: Mapping[str, str]) -> str:
    """Say whether it can happen again, by what the actions of a closed review stand on.

    `says` are the guards' own sentences by their names. "No" takes something that keeps it away: what is only noticed
    sooner, or mended faster, is less likely to hurt.
    """
    found = list(actions)
    proofs = [action.proof for action in found if action.proof is not None]
    told = [_CHECKED if proof.sort == CHECK else _DONE if proof.sort == COMMAND else says.get(proof.name, "")
            for proof in proofs if proof.sort in (GUARD, CHECK, COMMAND)]  # fmt: skip
    sentences = " ".join(dict.fromkeys(_sentence(one) for one in told if one.strip()))
    accepted = [proof for proof in proofs if proof.sort == ACCEPTED and proof.until is not None]
    handed = [proof for proof in proofs if proof.sort == HANDED and proof.until is not None]
    if accepted:
        risk = max(accepted, key=lambda proof: proof.until or date.min)
        return f"Yes, accepted until {risk.until} by {risk.name}. {sentences}".strip()
    if handed:
        last = max(proof.until for proof in handed if proof.until is not None)
        return f"Less likely: {f'{sentences} ' if sentences else ''}What is left is done by {last}."
    keeps_away = any(action.kind == PREVENT and action.proof is not None for action in found)
    return f"{'No' if keeps_away else 'Less likely'}: {sentences}"


_CHECKED = "A change that does this again is found out before it is made."
_DONE = "What was done by hand then is done by a command now, the same way each time."


def _sentence(text: str) -> str:
    one = " ".join(text.split())
    return one if one.endswith((".", "!", "?")) else f"{one}."


def next_working_day(today: date) -> date:
    """Give the next day that is neither a Saturday nor a Sunday."""
    day = today + timedelta(days=1)
    while day.isoweekday() > _FRIDAY:
        day += timedelta(days=1)
    return day

"""What is overdue of what reviews promised: read from the journal and from backout.toml, as of today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from backout.flow.incidents import row_of
from backout.flow.instant import day_if_known
from backout.model.incident import INCIDENT
from backout.store.journal import Journal

if TYPE_CHECKING:
    from backout.config.values import Config
    from backout.model.obligations import Obligation
    from backout.model.recurrence import Today

_REVIEW, _PROOF = "review", "proof"


def owed(journal: Journal, config: Config, now: float, zone: tzinfo | None = None) -> list[Obligation]:
    """Give what is overdue at a time (seconds since the epoch, UTC), on the day that it is then in a zone."""
    reviews = [row_of(event) for event in journal.events(type=_REVIEW)]
    if not reviews and not any(guard.review_by for guard in config.guards):
        return []
    from backout.model import proof, review  # only where there is something to be judged: most have no review yet
    from backout.model.obligations import obligations, to_review

    day = datetime.fromtimestamp(now, tz=UTC).astimezone(zone).date()
    proofs = proof.histories(row_of(event) for event in journal.events(type=_PROOF)) if reviews else {}
    there = dict(_there(journal, config)) if reviews else {}
    return [*obligations(review.fold(reviews).values(), proofs, there, day), *to_review(config.guards, day)]


def rows(found: list[Obligation]) -> list[dict[str, Any]]:
    """Give them as documents have them."""
    return [{**one._asdict(), "since": day_if_known(one.since)} for one in found]


def line(found: list[Obligation]) -> str | None:
    """Say in a line how many there are, and the first of them; None where there is none."""
    if not found:
        return None
    more = f" And {len(found) - 1} more: backout log" if len(found) > 1 else f" {found[0].next}"
    return f"Overdue: {found[0].what.rstrip('.')}.{more}"


def _there(journal: Journal, config: Config) -> Iterator[tuple[str, Today]]:
    """Give what backout.toml has for each incident's environment, where it is that one's."""
    from backout.flow.recurrences import today_of

    for event in journal.events(type=INCIDENT):
        today = today_of(config, str(event.body.get("environment")))
        if today is not None:
            yield str(event.body.get("id")), today

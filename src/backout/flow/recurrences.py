"""Recurrences, told: which earlier incidents said the same, what their reviews promised, and what became of that.

For `panic`, `review` and `export`, each of which shows these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backout.config.values import Config
from backout.errors import BackoutError
from backout.flow.incidents import NO_ENVIRONMENT, row_of
from backout.flow.instant import day_if_known, instant
from backout.model import review
from backout.model.incident import LEDGER, Incident, Row
from backout.model.ledger import Change, by_host
from backout.model.ledger import fold as fold_changes
from backout.model.recurrence import Recurrence, Today, bad_change, recurrences, standing
from backout.model.situation import entries_of, of_environment
from backout.store.journal import Journal

Document = dict[str, Any]
TYPES = (LEDGER, review.REVIEW)
"""The types of the events that are needed besides those that tell of incidents."""


def rows(journal: Journal, incident: Incident, known: Mapping[str, Incident], config: Config) -> list[Document]:
    """Tell of each earlier incident that said the same as this one, newest first: a row each.

    A row says what both said (`signatures`), which change is taken for what did it now (`change`), and of each action
    of the earlier review where what proves it stood when that change was made (`standing`).
    """
    found = recurrences(incident, known.values(), output_of(journal))
    if not found:
        return []
    events = (event for kind in TYPES for event in journal.events(type=kind))
    return told(found, incident, map(row_of, events), config)


def told(
    found: Iterable[Recurrence], incident: Incident, events: Iterable[Row], config: Config
) -> list[dict[str, Any]]:
    """Tell of recurrences that were found already; `events` are at least those of `TYPES`."""
    kept = list(events)
    reviews, today = review.fold(kept), today_of(config, incident.environment)
    bad = bad_change(incident, _changes(kept, incident.environment))
    return [_row(one, reviews.get(one.incident.id), bad, today) for one in found]


def output_of(journal: Journal) -> Callable[[str], str]:
    """Give what reads an output that a journal keeps; what cannot be read is empty: nothing is to fail by it."""

    def output(sha256: str) -> str:
        try:
            content = journal.content(sha256) if sha256 else None
        except BackoutError:
            content = None
        return "" if content is None else content.decode("utf-8", "replace")

    return output


def today_of(config: Config, environment: str) -> Today | None:
    """Give what a configuration has now; None where it is not the one of this environment, and so tells nothing."""
    own = config.known_environment(environment)
    if config.path is None or (own is None and environment != NO_ENVIRONMENT):
        return None
    checks = [check.name for check in own.checks] if own else []
    guards = [guard.name for guard in config.guards if guard.judges(environment)]
    return Today(guards, checks, [command.name for command in config.commands])


def _changes(events: Iterable[Row], environment: str) -> list[Change]:
    """Give the changes of an environment, as the hosts' ledgers tell of them."""
    own = of_environment(entries_of(row.body for row in events if row.type == LEDGER), environment, ())
    return [change for entries in by_host(own).values() for change in fold_changes(entries)]


def _row(one: Recurrence, reviewed: review.Review | None, bad: Change | None, today: Today | None) -> Document:
    then = one.incident
    return {
        "incident": then.id,
        "at": instant(then.clock("declared") or then.declared_at),
        "environment": then.environment,
        "title": then.text.partition("\n")[0] or then.id,
        "signatures": list(one.lines),
        "change": None if bad is None else bad.id,
        "reviewed": None if reviewed is None else reviewed.state,
        "actions": [
            {
                "action": action.key,
                "title": action.title,
                "owner": action.owner,
                "due": day_if_known(action.due),
                "proof": None if action.proof is None else _proof(action.proof),
                "standing": standing(action, bad, today),
            }
            for action in (() if reviewed is None else review.actions(reviewed.text))
        ],
    }


def _proof(proof: review.Standing) -> dict[str, Any]:
    return {**proof._asdict(), "until": day_if_known(proof.until)}

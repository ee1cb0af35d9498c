"""What was before that looks like what `panic` sees: what says the very same is a recurrence, and stands first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backout.config.values import Config
from backout.flow.instant import instant
from backout.flow.recurrences import output_of, told
from backout.flow.search import Similar, similar, told_of
from backout.model.incident import Incident, Row
from backout.model.recurrence import recurrences
from backout.store.journal import Journal

MOST_SIMILAR = 3
"""So many are shown at most: somebody reads it who has no time."""


class Before:
    """Looks back while an alarm goes on: again only where there is something new to look for."""

    def __init__(self, journal: Journal, config: Config) -> None:
        """Know nothing yet."""
        self._journal, self._config = journal, config
        self._searched, self._found = "", tuple[Similar, ...]()
        self._compared: tuple[str, int] | None = None
        self._recurring: list[dict[str, Any]] = []

    def rows(
        self, own: Incident, known: Mapping[str, Incident], events: Iterable[Row], text: str
    ) -> list[dict[str, Any]]:
        """Tell what looked like an incident before, and what helped then; a recurrence says so in `recurrence`.

        `text` is what is searched for: what was typed, or what failing checks say. `events` are those of the journal.
        """
        if text.strip() and text != self._searched:
            # As a log of several lines: by what answers best. All words are held by this incident alone.
            self._searched, self._found = text, similar(self._journal, f"{text}\n.", MOST_SIMILAR, but=own.id)
        if self._compared != (own.text, len(own.entries)):
            found = recurrences(own, known.values(), output_of(self._journal))[:MOST_SIMILAR]
            self._compared = own.text, len(own.entries)
            self._recurring = told(found, own, events, self._config) if found else []
        recurring = {row["incident"]: row for row in self._recurring}
        again = [told_of(known[name]) for name in recurring]
        found_else = [one for one in self._found if one.id not in recurring]
        return [_row(one, recurring.get(one.id)) for one in [*again, *found_else][:MOST_SIMILAR]]


def _row(one: Similar, recurrence: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("kind", "id", "title", "environment", "show")
    row = {**{name: getattr(one, name) for name in names}, "at": instant(one.at), "helped": list(one.helped)}
    if recurrence is None:
        return row
    return {**row, "recurrence": {name: recurrence[name] for name in ("signatures", "change", "reviewed", "actions")}}

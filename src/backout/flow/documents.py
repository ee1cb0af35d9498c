"""What changes did, in the journal: kept by content when a change is made, refused or met.

Of a document only what effects are compared by is kept: kind, subject, op, before, after and content. The whole one,
with its diffs, is beside the host's ledger.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from backout.errors import FailedError, UsageError
from backout.flow.session import Session
from backout.model import shape
from backout.model.digest import canonical
from backout.model.effect import Effect
from backout.store.journal import Journal

EFFECTS = "effects"
"""The type of an event that tells what a change did: `host`, `change`, and the names of the `parts`."""
IDLE = "idle"
"""The type of an event that tells that a named command was run and had nothing to do: its name as `command`, the
`environment`, and the checks that were unhealthy then (`red`). No change tells of it."""
_ROWS_A_PART = 4096
_FIELDS = ("kind", "subject", "op", "before", "after", "content")
_ROW = shape.row(shape.text, shape.text, shape.text, shape.anything, shape.anything, shape.maybe(shape.text))


def keep(journal: Journal, document: dict[str, Any]) -> list[str]:
    """Keep what a `backout.effects/1` document says of its change; gives the names of the parts.

    A part at a time is held besides the document.
    """
    parts = _kept(journal, document["effects"])
    body = {"host": document["host"], "change": document["change"], "parts": parts}
    at = datetime.fromisoformat(document["started_at"]).timestamp()
    journal.append(at=at, actor=document["host"], type=EFFECTS, body=body)
    return parts


def _kept(journal: Journal, effects: Iterable[dict[str, Any]]) -> list[str]:
    left = iter(effects)
    names: list[str] = []
    while rows := [canonical([row[name] for name in _FIELDS]) for row in itertools.islice(left, _ROWS_A_PART)]:
        names += journal.keep([b"\n".join(rows)])
    return names


class Documents:
    """What one journal has of changes' effects. A host is named as its ledger names it."""

    def __init__(self, journal: Journal) -> None:
        """Read which changes are known."""
        self._journal = journal
        told = (event.body for event in journal.events(type=EFFECTS))
        self._parts: dict[tuple[str, str], list[str]] = {(body["host"], body["change"]): body["parts"] for body in told}

    def of(self, host: str, change: str, session: Session | None = None) -> Iterator[Effect] | None:
        """Walk a change's effects; one that is not known is asked for over the session, and kept.

        None where that is not possible, too.
        """
        if (host, change) not in self._parts and session is not None:
            self._ask(session, host, change)
        parts = self._parts.get((host, change))
        return None if parts is None else (effect for name in parts for effect in self._read(name))

    def _ask(self, session: Session, host: str, change: str) -> None:
        try:
            document = session.link.ask("show", change=change)["document"]
        except UsageError:  # gc has let it go
            return
        self._parts[host, change] = keep(self._journal, {**document, "host": host, "change": change})

    def _read(self, name: str) -> list[Effect]:
        content = self._journal.content(name)
        if content is None:
            raise FailedError(f"The journal has no content {name[:12]}…, which a change names.", next="backout doctor")
        rows = [shape.load(line) for line in content.split(b"\n")]
        if not all(map(_ROW, rows)):
            raise FailedError(f"The content {name[:12]}… of the journal is no part of effects.", next="backout doctor")
        return [Effect(**dict(zip(_FIELDS, row, strict=True))) for row in rows]

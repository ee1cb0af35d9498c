"""`backout review`: the file of an incident's review, taken in again; what two saved is put together by section."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

from backout.config.values import Config
from backout.errors import ConflictError, FailedError, RefusedError, UsageError
from backout.flow.incidents import row_of
from backout.flow.instant import instant
from backout.flow.known import known
from backout.model.incident import OPEN, Incident, Row
from backout.model.redact import redact
from backout.model.review import (
    CLOSED,
    DRAFT,
    REVIEW,
    File,
    Problem,
    Review,
    file,
    fold,
    read,
    state_of,
    template,
)
from backout.model.sections import marked, merged, structure
from backout.render.incident_story import moment_text
from backout.render.review import guidance
from backout.render.review import known as drawn
from backout.store.journal import Journal

_DUE_DAYS = {1: 15}
_DUE_LATER_DAYS = 30
_PRINT = "What is known is shown at any time: backout review --print"


class Opened(NamedTuple):
    """A review as it opens: what was saved last, or nothing; what is known; and both as one file.

    `first_line` is the line of the file on which the text begins.
    """

    review: Review
    known: str
    content: str
    first_line: int


class Saved(NamedTuple):
    """What came of a file: the review as it is now, whether that is new, and how many secrets were masked.

    `with_` is the review of somebody else with which it was put together; `opens_again` tells that it was closed.
    """

    review: Review
    is_new: bool
    masked: int = 0
    with_: Review | None = None
    opens_again: bool = False


class MistakesError(UsageError):
    """The file cannot be read as a review (2). `problems` has them by lines of the file."""

    def __init__(self, found: list[Problem]) -> None:
        """Tell all of them."""
        super().__init__("; ".join(f"line {line}: {what.rstrip('.')}" for line, what in found) + ".")
        self.problems = found


class ClashError(ConflictError):
    """Somebody else saved the same section meanwhile (6). `content` is a file with both ways, to choose from."""

    def __init__(self, found: list[Problem], other: Review, content: str) -> None:
        """Tell where."""
        what = "; ".join(f"line {line}: {what.rstrip('.')}" for line, what in found)
        super().__init__(f"{other.actor} saved this review as #{other.seq} meanwhile: {what}.")
        self.problems, self.content = found, content


class Reviewing(NamedTuple):
    """One person at one incident's review, at a time (seconds since the epoch, UTC)."""

    journal: Journal
    config: Config
    incident: Incident
    who: str
    now: float
    zone: tzinfo | None = None

    @property
    def newest(self) -> Review:
        """Give what was saved last, or a review in which nothing stands yet."""
        saved = fold(_rows(self.journal)).get(self.incident.id)
        return saved or Review(self.incident.id, DRAFT, template(), 0, 0.0, "")

    @property
    def entries(self) -> frozenset[int]:
        """Give the numbers to which a path can point."""
        return frozenset(entry.seq for entry in self.incident.entries)

    @property
    def opens_at(self) -> float | None:
        """Give when it opens, in seconds since the epoch, UTC; None while the incident is open."""
        resolved = self.incident.clock("resolved") if self.incident.state != OPEN else None
        return None if resolved is None else resolved + self.config.cooling_off_s

    def require_open(self) -> None:
        """Raise a RefusedError while the incident is open, and until the dust has settled."""
        notes = f"Raw notes are taken at once: backout note --incident {self.incident.id} TEXT"
        if self.opens_at is None:
            raise RefusedError(f"Incident {self.incident.id} is not over: it has no review yet.", _PRINT, notes)
        if self.now < self.opens_at:
            when = moment_text(instant(self.opens_at), self.zone)
            raise RefusedError(f"The review of incident {self.incident.id} opens at {when}.", _PRINT, notes)

    def opened(self) -> Opened:
        """Give the review as a file, with all that is known by now."""
        told = known(self.journal, self.incident, self.config, self.now)
        review, above = self.newest, f"{drawn(told, self.zone)}\n{guidance(self._due())}"
        content = file(review, above)
        return Opened(review, above, content, read(content).first_line)

    def _due(self) -> date | None:
        """Propose by when an action is due: 15 days after the end where clients were down, else 30."""
        resolved = self.incident.clock("resolved")
        if resolved is None:
            return None
        ended = datetime.fromtimestamp(resolved, tz=UTC).astimezone(self.zone).date()
        return ended + timedelta(days=_DUE_DAYS.get(self.incident.severity, _DUE_LATER_DAYS))

    def holds_more(self, content: bytes) -> bool:
        """Tell whether a file that was left holds anything that is neither on record nor was there when it opened."""
        try:
            told = read(content.decode())
        except UnicodeDecodeError:
            return True
        return bool(told.problems) or told.text not in (self.newest.text, self._base(told.base))

    def save(self, content: bytes) -> Saved:
        """Take a file in: a MistakesError, or a ClashError, where it cannot be, with all that is in the way.

        Two at the same instant would not see each other: whoever calls lets one in after the other.
        """
        newest, told = self.newest, self._read(content)
        if told.text == newest.text:
            return Saved(newest, is_new=False)
        text = redact(told.text)
        masked = sum(old != new for old, new in zip(told.text.split("\n"), text.split("\n"), strict=False))
        other = None
        if told.base != newest.seq:
            text, other = self._merged(told, text, newest), newest
        if text == newest.text:
            return Saved(newest, is_new=False, masked=masked)
        state = state_of(text, self.entries)
        kept = self.keep(text, state, newest.seq)
        return Saved(kept, is_new=True, masked=masked, with_=other, opens_again=newest.state == CLOSED)

    def keep(self, text: str, state: str, base: int) -> Review:
        """Put a review on record as it is."""
        body = {"incident": self.incident.id, "state": state, "text": text, "base": base}
        event = self.journal.append(at=time.time(), actor=self.who, type=REVIEW, body=body)
        return Review(self.incident.id, state, text, event.seq, event.at, event.actor)

    def _read(self, content: bytes) -> File:
        """Read a file; a MistakesError where it has a mistake that keeps its sections from being told apart."""
        if not content.strip():
            raise FailedError("The file is empty.", state="Nothing was saved; the review is as it was.")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise MistakesError([Problem(line, f"this is not UTF-8: {content[error.start : error.end]!r}.")]) from None
        told = read(text)
        if told.problems:
            told = read(text, self.opened().known)
        found = [*told.problems, *below(structure(told.text), told.first_line)]
        if told.incident not in ("", self.incident.id):
            found.append(Problem(1, f"this is the review of {told.incident}, not of {self.incident.id}."))
        if self._base(told.base) is None:
            found.append(Problem(1, f"there is no review of {self.incident.id} saved as {told.base}."))
        if found:
            raise MistakesError(sorted(found))
        return told

    def _base(self, seq: int) -> str | None:
        """Give the text that was edited; None where it is not on record."""
        if seq == 0:
            return template()
        rows = (row for row in _rows(self.journal) if row.seq == seq)
        return next((one.text for one in fold(rows).values() if one.incident == self.incident.id), None)

    def _merged(self, told: File, text: str, newest: Review) -> str:
        base = self._base(told.base) or ""
        both = merged(base, text, newest.text)
        if isinstance(both, str):
            return both
        content = file(newest._replace(text=marked(base, text, newest.text)), self.opened().known)
        raise ClashError(below(both, told.first_line), newest, content)


def below(found: list[Problem], first_line: int) -> list[Problem]:
    """Give problems of a text by the lines of the file in which it begins on this line."""
    return [Problem(line + first_line - 1, what) for line, what in found]


def _rows(journal: Journal) -> list[Row]:
    return [row_of(event) for event in journal.events(type=REVIEW)]

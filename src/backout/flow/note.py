"""`note`: a line of the timeline, or what is to become of an earlier one. What is typed is kept first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from backout.errors import UsageError
from backout.flow.incidents import Standing, read, record, standing, state
from backout.model.incident import (
    CLOCK,
    CLOCKS,
    CORRECTION,
    ENTRY,
    HYPOTHESIS,
    LINE,
    NOTE,
    OPEN,
    PIN,
)
from backout.model.thought import Said, fitting, said
from backout.store.journal import Event, Journal


class Wish(NamedTuple):
    """What is to be noted. Entries are named by their numbers, times are seconds since the epoch; None: not given."""

    text: str = ""
    at: float | None = None
    environment: str | None = None
    incident: str | None = None
    of: int | None = None
    correct: int | None = None
    pins: Mapping[int, bool] = {}
    clock: tuple[str, float] | None = None
    severity: int | None = None


class Noted(NamedTuple):
    """What was recorded, where, and what there is to say about it. `standing` is None of what is kept by itself."""

    events: tuple[Event, ...]
    standing: Standing | None
    complaints: tuple[str, ...]


IsKnown = Callable[[str], bool]
"""Tells whether the configuration has an environment of that name: asked only where no incident is open there."""


def note(journal: Journal, who: str, wish: Wish, is_known: IsKnown) -> Noted:
    """Record what is wished for; what does not fit is kept as a note, and said. UsageError where nothing can be."""
    complaints: list[str] = []
    where = _meant(journal, wish, is_known, complaints)
    events = list(_acts(journal, who, wish, where, complaints))
    if where is not None and wish.clock is not None and wish.clock[0] == "declared":
        where = where._replace(declared_at=wish.clock[1])
    if wish.text and not any(event.body.get("kind") == CORRECTION for event in events):
        events.append(_text(journal, who, wish, where, complaints))
    if not events:
        raise UsageError(" ".join(complaints) or "There is nothing to note.", next="backout note TEXT")
    return Noted(tuple(events), where, tuple(complaints))


def _meant(journal: Journal, wish: Wish, is_known: IsKnown, complaints: list[str]) -> Standing | None:
    try:
        found = standing(journal, wish.incident, wish.environment)
    except UsageError as error:
        complaints.append(error.what)
        return standing(journal, None, wish.environment) or standing(journal)
    if found is None and wish.environment is not None and not is_known(wish.environment):
        complaints.append(f"There is no environment {wish.environment}.")
        return standing(journal)
    return found


def _acts(journal: Journal, who: str, wish: Wish, where: Standing | None, complaints: list[str]) -> Iterator[Event]:
    """Record what is about earlier entries, and about the incident itself."""
    if wish.correct is not None:
        incident = _of(journal, wish.correct)
        if incident is None or not wish.text:
            complaints.append(_none(wish.correct) if incident is None else "A correction needs the new text.")
        else:
            yield record(journal, who, incident, CORRECTION, wish.text, more={"of": wish.correct}, at=wish.at)
    for number, pinned in wish.pins.items():
        incident = _of(journal, number)
        if incident is None:
            complaints.append(_none(number))
        else:
            yield record(journal, who, incident, PIN, "", more={"of": number, "pinned": pinned}, at=wish.at)
    if where is None and (wish.clock or wish.severity):
        complaints.append("No incident is open whose clock or severity could be set; --incident ID names another.")
    elif where is not None:
        yield from _about(journal, who, wish, where)


def _about(journal: Journal, who: str, wish: Wish, where: Standing) -> Iterator[Event]:
    """Record what is about the incident itself. When it was declared is told by its own events."""
    if wish.clock is not None and wish.clock[0] == "declared":
        yield state(journal, who, where.id, where.environment, where.state, at=wish.at, declared=wish.clock[1])
    elif wish.clock is not None:
        name, value = wish.clock
        yield record(journal, who, where.id, CLOCK, name, more={"clock": name, "value": value}, at=wish.at)
    if wish.severity is not None:
        yield state(journal, who, where.id, where.environment, where.state, at=wish.at, severity=wish.severity)


def _text(journal: Journal, who: str, wish: Wish, where: Standing | None, complaints: list[str]) -> Event:
    told = said(wish.text)
    more: dict[str, Any] = {}
    if told.kind == HYPOTHESIS and told.state == OPEN:
        more = {"state": OPEN}
    elif told.kind == HYPOTHESIS:
        thoughts = _thoughts(journal, where)
        fits = [wish.of] if wish.of in thoughts else [] if wish.of else fitting(told.text, thoughts)
        if len(fits) == 1 and fits[0] is not None:
            more = {"state": told.state, "of": fits[0]}
            told = told._replace(text=told.text or thoughts[fits[0]])
        else:
            complaints.append(_unfit(thoughts, several=len(fits) > 1))
    elif wish.of is not None:
        complaints.append("--of is for what was ruled out or confirmed.")
    if not told.text or (told.kind == HYPOTHESIS and not more):
        told = Said(NOTE, "", wish.text)
    return record(journal, who, where and where.id, told.kind, told.text, more=more, at=wish.at)


def _unfit(thoughts: Mapping[int, str], *, several: bool) -> str:
    open_ones = "; ".join(f"--of {number}: {text}" for number, text in thoughts.items())
    what = "Several open hypotheses fit" if several else "No open hypothesis fits"
    return f"{what}; it is kept as a note. {f'Open: {open_ones}' if open_ones else 'None is open.'}"


def _thoughts(journal: Journal, where: Standing | None) -> dict[int, str]:
    """Give the hypotheses that are open, by their numbers."""
    incident = read(journal).get(where.id) if where else None
    if incident is None:
        return {}
    texts = {entry.seq: entry.text for entry in incident.of_kind(HYPOTHESIS)}
    return {number: texts.get(number, "") for number, state in incident.thoughts().items() if state == OPEN}


def _of(journal: Journal, number: int) -> str | None:
    """Give the incident of an entry, empty where it stands by itself; None where the number names none."""
    event = next(iter(journal.events(after=number - 1)), None)
    if event is None or event.seq != number or event.type != ENTRY or not LINE(event.body):
        return None
    return str(event.body["incident"])


def _none(number: int) -> str:
    return f"{number} is no entry of a timeline."


def clock_named(name: str) -> str:
    """Give the clock that is meant, by its name or the only beginning; a ValueError names all."""
    plain = name.lower().replace(" ", "_").replace("-", "_")
    found = [clock for clock in CLOCKS if clock.startswith(plain)]
    if not plain or len(found) != 1:
        raise ValueError(f"one of {', '.join(CLOCKS)}")
    return found[0]

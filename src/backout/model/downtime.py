"""Downtime: when the checks that an audience names were red, or, where none was seen, what the clocks say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.check import BEFORE, HEALTHY, UNHEALTHY
from backout.model.incident import CHANGE, CHECK, RESOLVED, Entry, Incident

CHECKS, CLOCKS, UNKNOWN = "checks", "clocks", "unknown"
_UNNOTICED = 3
"""The severity of what nobody outside notices."""
_RESULT = shape.fields({"name": shape.text, "result": shape.text})
Span = tuple[float, float]
"""From when until when, in seconds since the epoch, UTC."""


class Reading(NamedTuple):
    """What a check said on a host at a time."""

    at: float
    host: str
    name: str
    result: str


class Downtime(NamedTuple):
    """How long an audience was without service: stretches that do not overlap, oldest first, and what tells of them."""

    spans: tuple[Span, ...]
    source: str

    @property
    def seconds(self) -> float:
        """Give all of it, in seconds."""
        return sum(end - start for start, end in self.spans)


def readings(entries: Iterable[Entry]) -> list[Reading]:
    """Give what checks said, in the order of the timeline: at `panic` and `calm`, before a change and after it."""
    found = []
    for entry in entries:
        if entry.kind == CHECK and _RESULT(entry.body):
            told = [(str(entry.body.get("host", "")), entry.body)]
        elif entry.kind == CHANGE:
            told = _of_ledger(entry.body)
        else:
            continue
        found += [Reading(entry.at, host, row["name"], row["result"]) for host, row in told]
    return [one for one in found if one.result in (HEALTHY, UNHEALTHY)]


def _of_ledger(entry: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Give the results that an entry of a ledger holds of the live host; a rehearsal's tell nothing of it."""
    body = entry.get("body")
    if not isinstance(body, Mapping):
        return []
    rows = [*body.get("before", ()), *body.get("results", ())]
    live = [row for row in rows if _RESULT(row) and row.get("where", BEFORE) != "rehearsal"]
    return [(str(entry.get("host", "")), row) for row in live]


def turned_green(entries: Iterable[Entry]) -> float | None:
    """Give when a check last turned from red to healthy; None where none did."""
    red: set[tuple[str, str]] = set()
    at = None
    for one in readings(entries):
        place = one.host, one.name
        if one.result == UNHEALTHY:
            red.add(place)
        elif place in red:
            red.remove(place)
            at = one.at
    return at


def downtime(incident: Incident, checks: Collection[str], now: float) -> Downtime:
    """Give the downtime by these checks, by all where none is named; `now` ends what still lasts.

    A check that was red when it was first asked was so since the impact started, where that is known. One that was
    not asked again until it was green was red until then, at the latest until the incident was mitigated, if that was
    after it was last seen red. Where no check was ever seen red, it may have been before anybody asked: the clock of
    the impact tells, and without it nothing does, unless nobody outside noticed.
    """
    known = readings(incident.entries)
    seen = [one for one in known if not checks or one.name in checks]
    is_red = any(one.result == UNHEALTHY for one in known)
    if not seen or (not is_red and incident.clock("impact_started") is not None):
        return Downtime(_by_clocks(incident, now), CLOCKS)
    if not is_red and incident.severity != _UNNOTICED:
        return Downtime((), UNKNOWN)
    end = _end(incident, now)
    places = dict.fromkeys((one.host, one.name) for one in seen)
    spans = [span for place in places for span in _red(incident, [o for o in seen if (o.host, o.name) == place], end)]
    return Downtime(_union(spans), CHECKS)


def _end(incident: Incident, now: float) -> float:
    resolved = incident.clock("resolved") if incident.state == RESOLVED else None
    return now if resolved is None else resolved


def _red(incident: Incident, seen: list[Reading], end: float) -> list[Span]:
    """Give the stretches in which one check was red on one host."""
    spans: list[Span] = []
    since = last = None
    started, mitigated = incident.clock("impact_started"), incident.clock("mitigated")
    for one in seen:
        if one.result == UNHEALTHY:
            first = one is seen[0] and started is not None
            since = (min(one.at, started) if first and started is not None else one.at) if since is None else since
            last = one.at
        elif since is not None and last is not None:
            spans.append((since, _until(last, one.at, mitigated)))
            since = None
    if since is not None and last is not None:
        spans.append((since, _until(last, max(end, last), mitigated)))
    return spans


def _until(last_red: float, until: float, mitigated: float | None) -> float:
    return mitigated if mitigated is not None and last_red <= mitigated < until else until


def _by_clocks(incident: Incident, now: float) -> tuple[Span, ...]:
    begins = [incident.clock(name) for name in ("impact_started", "detected", "declared")]
    start = next((at for at in begins if at is not None), incident.declared_at)
    mitigated = incident.clock("mitigated")
    end = _end(incident, now) if mitigated is None else mitigated
    return ((start, end),) if end > start else ()


def _union(spans: Iterable[Span]) -> tuple[Span, ...]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)

"""Incidents: which are open, and where, from the events of the journal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backout.model import shape

INCIDENT = "incident"
"""The type of an event that tells where an incident stands."""
OPEN, RESOLVED = "open", "resolved"
BODY = shape.fields({"id": shape.text, "environment": shape.text, "state": shape.one_of(OPEN, RESOLVED)})
"""What the body of such an event must be like to open or to resolve one; it may say more."""


def open_on(bodies: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Give the ids of the incidents that are open, by environment, from the bodies of their events, oldest first."""
    found: dict[tuple[str, str], str] = {}
    for body in filter(BODY, bodies):
        found[body["environment"], body["id"]] = body["state"]
    still: dict[str, tuple[str, ...]] = {}
    for (environment, incident), state in found.items():
        if state == OPEN:
            still[environment] = (*still.get(environment, ()), incident)
    return still

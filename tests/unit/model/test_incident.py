"""Which incidents are open, and where, as the journal tells it."""

from __future__ import annotations

from backout.model.incident import open_on


def event(incident: str, environment: str, state: str) -> dict[str, str]:
    """The body of an event."""
    return {"id": incident, "environment": environment, "state": state, "text": "the site is down"}


def test_an_incident_is_open_until_it_is_resolved_and_again_when_it_is_opened_again() -> None:
    """Guards warn while one is open: one that stayed open by mistake would switch them all off."""
    bodies = [event("i1", "production", "open"), event("i2", "staging", "open"), event("i3", "production", "open")]
    assert open_on(bodies) == {"production": ("i1", "i3"), "staging": ("i2",)}
    bodies += [event("i1", "production", "resolved"), event("i2", "staging", "resolved")]
    assert open_on(bodies) == {"production": ("i3",)}
    assert open_on([*bodies, event("i2", "staging", "open")])["staging"] == ("i2",)


def test_what_an_incident_says_besides_opens_and_closes_nothing() -> None:
    """A note is an event of an incident, too."""
    assert open_on([{"id": "i1", "environment": "production", "state": "noted"}, {"id": "i2"}]) == {}

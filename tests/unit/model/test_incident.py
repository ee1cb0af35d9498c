"""What events tell of incidents: clocks, corrections, pins, hypotheses, and the changes meanwhile."""

from __future__ import annotations

from typing import Any

from backout.model.incident import ENTRY, INCIDENT, LEDGER, Incident, Row, fold, open_on


def rows(*told: tuple[float, str, dict[str, Any]]) -> list[Row]:
    """Number events in their order; each is (at, type, body)."""
    return [Row(seq, at, at, "ada", kind, body) for seq, (at, kind, body) in enumerate(told, start=1)]


def opened(at: float = 100, **more: Any) -> tuple[float, str, dict[str, Any]]:
    """Open the incident."""
    return at, INCIDENT, {"id": "i1", "environment": "production", "state": "open", **more}


def line(at: float, kind: str, text: str = "", **more: Any) -> tuple[float, str, dict[str, Any]]:
    """Write a line of its timeline."""
    return at, ENTRY, {"incident": "i1", "kind": kind, "text": text, **more}


def one(*told: tuple[float, str, dict[str, Any]]) -> Incident:
    """Fold events that tell of one incident."""
    (incident,) = fold(rows(*told)).values()
    return incident


def test_a_line_that_is_told_later_stands_where_it_happened() -> None:
    """Who writes down at three what was at two must not rewrite the order of things."""
    incident = one(opened(), line(300, "note", "late"), line(200, "note", "early"))
    assert [entry.text for entry in incident.entries] == ["early", "late"]


def test_a_correction_is_shown_and_what_was_first_said_stays_readable() -> None:
    """Law 6: the record only grows."""
    incident = one(opened(), line(110, "note", "web1"), line(120, "correction", "web2", of=2), line(130, "pin", of=2))
    entry = incident.of_kind("note")[0]
    assert (entry.text, entry.corrected, entry.pinned) == ("web2", ("web1",), True)


def test_a_clock_that_is_set_again_keeps_its_first_value() -> None:
    """Each may be set later and corrected."""
    incident = one(
        opened(),
        line(110, "clock", clock="impact_started", value=90),
        line(120, "clock", clock="impact_started", value=80),
    )
    assert (incident.clock("impact_started"), incident.clocks["impact_started"]) == (80.0, (90.0, 80.0))
    assert (incident.clock("declared"), incident.clock("mitigated")) == (100, None)


def test_a_hypothesis_is_where_its_last_line_left_it() -> None:
    """What was ruled out must not be tried again."""
    incident = one(
        opened(),
        line(110, "hypothesis", "disk", state="open"),
        line(120, "hypothesis", "dns", state="open"),
        line(130, "hypothesis", "disk", state="ruled out", of=2),
    )
    assert incident.thoughts() == {2: "ruled out", 3: "open"}


def test_changes_of_its_environment_are_on_its_timeline_while_it_lasts() -> None:
    """What backout itself does is there without asking; what is done elsewhere, or later, is not."""

    def entry(at: float, change: str, kind: str, **body: Any) -> tuple[float, str, dict[str, Any]]:
        return at, LEDGER, {"change": change, "host": "web1", "kind": kind, "body": body}

    told = [
        entry(50, "before", "prepared", environment="production"),
        opened(),
        entry(110, "a", "prepared", environment="production"),
        entry(111, "a", "kept"),
        entry(112, "b", "prepared", environment="staging"),
        (200, INCIDENT, {"id": "i1", "environment": "production", "state": "resolved"}),
        entry(210, "c", "prepared", environment="production"),
    ]
    assert [entry.text for entry in one(*told).of_kind("change")] == ["a", "a"]


def test_what_is_no_incident_s_stays_away_and_a_resolved_one_is_not_open() -> None:
    """A hostile or foreign line is never a reason to fail."""
    told = rows(opened(), line(1, "note"), (2, ENTRY, {"incident": 5}), (3, INCIDENT, {"id": "i2"}), (4, "other", {}))
    (incident,) = fold(told).values()
    assert len(incident.entries) == 1
    assert open_on(row.body for row in told if row.type == INCIDENT) == {"production": ("i1",)}


def test_severity_may_be_lowered_and_suspects_add_up() -> None:
    """Unsure: take the higher; it can be lowered."""
    incident = one(opened(), opened(110, severity=2, suspects=["x"]), opened(120, severity=9, suspects=["y", "x"]))
    assert (incident.severity, incident.suspects, incident.declared_at) == (2, ("x", "y"), 100)

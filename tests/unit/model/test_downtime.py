"""How long it was down, for whom: the number that a client is told."""

from __future__ import annotations

from typing import Any

from backout.model.downtime import downtime, turned_green
from backout.model.incident import ENTRY, INCIDENT, LEDGER, Incident, Row, fold


def incident(*told: tuple[float, str, dict[str, Any]], resolved: float | None = None) -> Incident:
    """Fold an incident of `production` that was declared at 100."""
    stated: list[tuple[float, str, dict[str, Any]]] = [(100, INCIDENT, stands("open")), *told]
    if resolved is not None:
        stated.append((resolved, INCIDENT, stands("resolved")))
    (one,) = fold(Row(seq, at, at, "ada", kind, body) for seq, (at, kind, body) in enumerate(stated, 1)).values()
    return one


def stands(state: str) -> dict[str, Any]:
    """Say where it stands."""
    return {"id": "i1", "environment": "production", "state": state}


def check(at: float, result: str, name: str = "site", host: str = "web1") -> tuple[float, str, dict[str, Any]]:
    """A check's result as a line."""
    return at, ENTRY, {"incident": "i1", "kind": "check", "text": name, "name": name, "host": host, "result": result}


def clock(name: str, value: float) -> tuple[float, str, dict[str, Any]]:
    """A clock that was set."""
    return value, ENTRY, {"incident": "i1", "kind": "clock", "text": name, "clock": name, "value": value}


def back(at: float, result: str) -> tuple[float, str, dict[str, Any]]:
    """A back-out in a host's ledger, with what the check said after it."""
    body = {"environment": "production", "results": [{"name": "site", "where": "after", "result": result}]}
    return at, LEDGER, {"change": "c1", "host": "web1", "kind": "kept", "at": at, "body": body}


def test_two_hosts_that_are_down_at_the_same_time_count_once() -> None:
    """A client does not wait twice: it is the union of the red stretches, not their sum."""
    one = incident(
        check(100, "unhealthy"),
        check(120, "unhealthy", host="web2"),
        check(150, "healthy"),
        check(160, "healthy", host="web2"),
    )
    assert downtime(one, (), 900) == (((100, 160),), "checks")


def test_each_audience_has_the_downtime_of_its_own_checks() -> None:
    """Who uses the shop alone was not down while only the reports were."""
    one = incident(
        *(check(100, "unhealthy", name) for name in ("shop", "reports")),
        check(130, "healthy", "shop"),
        check(400, "healthy", "reports"),
    )
    assert [downtime(one, names, 900).seconds for names in (("shop",), ("reports",), ())] == [30, 300, 300]


def test_a_check_that_turned_green_in_a_ledger_ends_the_stretch() -> None:
    """Nothing is copied to the timeline: what `back` saw on the host counts at the time at which it saw it."""
    one = incident(check(100, "unhealthy"), back(140, "healthy"), check(300, "healthy"), resolved=300)
    assert (downtime(one, (), 900).seconds, turned_green(one.entries)) == (40, 140)


def test_what_turned_red_twice_is_two_stretches() -> None:
    """A fix that did not hold was service in between."""
    one = incident(check(100, "unhealthy"), check(110, "healthy"), check(150, "unhealthy"), check(170, "healthy"))
    assert downtime(one, (), 900).spans == ((100, 110), (150, 170))


def test_what_was_red_when_it_was_first_asked_began_with_the_impact() -> None:
    """Nobody looks before somebody calls; the client's clock ran all the same. A later red began when it was seen."""
    one = incident(clock("impact_started", 40), check(100, "unhealthy"), check(130, "healthy"), check(150, "unhealthy"))
    assert downtime(one, (), 160).spans == ((40, 130), (150, 160))


def test_a_check_that_nobody_asked_again_ends_when_it_was_mitigated() -> None:
    """What a person saw and noted is nearer to the truth than when somebody had time to run `calm`."""
    one = incident(check(100, "unhealthy"), clock("mitigated", 200), check(800, "healthy"), resolved=800)
    assert downtime(one, (), 900).seconds == 100


def test_without_checks_the_clocks_tell() -> None:
    """From the impact (else when it was detected, else declared) to the mitigation (else the end, else now)."""
    assert downtime(incident(), (), 160) == (((100, 160),), "clocks")
    assert downtime(incident(clock("detected", 90), resolved=150), (), 900).spans == ((90, 150),)
    whole = incident(clock("impact_started", 80), clock("detected", 90), clock("mitigated", 140), resolved=150)
    assert downtime(whole, (), 900).spans == ((80, 140),)


def test_checks_that_were_all_healthy_are_no_downtime_where_nobody_noticed() -> None:
    """Severity 3: nobody outside noticed, and the clocks must not say otherwise."""
    lowered = (110, INCIDENT, {**stands("open"), "severity": 3})
    assert downtime(incident(check(100, "healthy"), lowered, resolved=300), (), 900) == ((), "checks")


def test_what_was_over_before_a_check_was_asked_is_not_known_unless_somebody_says_when_it_began() -> None:
    """A change that backed itself out leaves green checks: "you were not down" would be a lie to the client."""
    assert downtime(incident(check(100, "healthy"), resolved=300), (), 900) == ((), "unknown")
    told = incident(check(100, "healthy"), clock("impact_started", 60), clock("mitigated", 90), resolved=300)
    assert downtime(told, (), 900) == (((60, 90),), "clocks")


def test_who_depends_on_what_stayed_green_was_not_down() -> None:
    """Their own downtime: what others lost is not theirs."""
    one = incident(check(100, "unhealthy", "shop"), check(100, "healthy", "api"), check(200, "healthy", "shop"))
    assert downtime(one, ("api",), 900) == ((), "checks")


def test_a_rehearsal_that_was_red_is_no_downtime() -> None:
    """Law 1: it ran in a view of the host, which nobody is served from."""
    row = {"name": "site", "where": "rehearsal", "result": "unhealthy"}
    entry = {
        "change": "c1",
        "host": "web1",
        "kind": "refused",
        "at": 120,
        "body": {"environment": "production", "results": [row]},
    }
    assert downtime(incident((120, LEDGER, entry), resolved=150), (), 900).source == "clocks"

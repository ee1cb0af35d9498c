"""What notices must hold, when the next word is due, and what the record tells of each delivery."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from backout.model.incident import RESOLVED, Entry, Incident, Row, fold
from backout.model.notice import (
    FIELDS,
    FIRST,
    LETTER,
    RETRY_S,
    TYPES,
    UPDATE,
    Due,
    after,
    deliveries,
    doubtful,
    due,
    missing,
    next_type,
    status,
    target_name,
)

CLIENT = "mailto:ops@client.example"


class Told(NamedTuple):
    """An audience, as far as words due need to know it."""

    key: str = "client"
    environments: tuple[str, ...] = ()
    first_s: float = 300
    every_s: float = 1800


def state(at: float, state: str, **more: Any) -> tuple[float, str, dict[str, Any]]:
    """Say where the incident stands."""
    return at, "incident", {"id": "i1", "environment": "production", "state": state, **more}


def line(at: float, kind: str, **more: Any) -> tuple[float, str, dict[str, Any]]:
    """Write a line of its timeline."""
    return at, "entry", {"incident": "i1", "kind": kind, "text": "", **more}


def notice(at: float, name: str = "n1", type: str = FIRST, *targets: str, **more: Any) -> Any:
    """Record a notice to the client."""
    body = {"notice": name, "audience": "client", "type": type, "status": "investigating", **more}
    return line(at, "notice", targets=[*(targets or (CLIENT,))], **body)


def delivery(at: float, state: str, name: str = "n1", target: str = CLIENT, attempt: int = 1) -> Any:
    """Record what became of an attempt."""
    return line(at, "delivery", notice=name, target=target, attempt=attempt, message_id="<m>", state=state)


def one(*told: tuple[float, str, dict[str, Any]]) -> Incident:
    """Fold events, the first of which opens the incident at 100."""
    rows = [state(100, "open"), *told]
    (incident,) = fold(Row(seq, at, at, "ada", kind, body) for seq, (at, kind, body) in enumerate(rows, 1)).values()
    return incident


def entries(*told: tuple[float, str, dict[str, Any]]) -> tuple[Entry, ...]:
    """Give the lines of the timeline."""
    return one(*told).entries


@pytest.mark.parametrize("type", TYPES)
def test_a_notice_names_every_field_that_it_lacks(type: str) -> None:
    """A word without what was found, or without the time of the next one, raises more questions than it answers."""
    assert missing(type, {}) == FIELDS[type]
    full = {name: 5.0 if name in ("next_at", "since") else "text" for name in FIELDS[type]}
    assert missing(type, full) == ()
    assert missing(type, {**full, FIELDS[type][0]: "  "}) == FIELDS[type][:1]


@pytest.mark.parametrize(
    ("type", "text", "words"),
    [
        (FIRST, "The shop is down because the disk is full", "because"),
        (FIRST, "The shop is down; back in about 10 minutes", "in about 10 minutes"),
        (FIRST, "It will be up again by 20:30", "by 20:30"),
        (UPDATE, "The fix is in; all will be well soon", "soon"),
        (LETTER, "An operator failed to read the plan", "failed to"),
        (LETTER, "Bob's mistake", "Bob's mistake"),
        (LETTER, "Hopefully it does not happen again", "Hopefully"),
    ],
)
def test_what_a_notice_must_not_hold_is_marked(type: str, text: str, words: str) -> None:
    """What is promised or presumed in the first minutes has to be taken back in the next ones."""
    (doubt,) = doubtful(type, text)
    assert (doubt.words, text[doubt.start : doubt.end]) == (words, words)
    assert doubt.why


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (FIRST, "The shop answers with an error page since 19:40"),
        (UPDATE, "Caused by a package; it is taken back on one of two hosts"),
        (LETTER, "A deployment replaced setuptools; it was taken back within 14 minutes"),
    ],
)
def test_what_it_may_hold_is_not_marked(type: str, text: str) -> None:
    """A mark on every line would be read by nobody."""
    assert doubtful(type, text) == ()


def test_the_first_word_is_due_minutes_after_the_declaration_and_the_next_ones_after_the_last_that_was_sent() -> None:
    """A word that reached nobody does not move the clock."""
    told, audience = [notice(200), delivery(201, "trying"), delivery(202, "failed")], [Told()]
    (owed,) = due(one(*told), audience, 300)
    assert owed == Due("client", FIRST, 400, 100)
    sent = [*told, delivery(250, "trying", attempt=2), delivery(251, "sent", attempt=2)]
    (owed,) = due(one(*sent), audience, 300)
    assert (owed.type, owed.at) == (UPDATE, 200 + 1800)


def test_what_the_last_word_promised_is_what_is_due() -> None:
    """The client looks at the clock that we named, not at our settings."""
    ((_, _, at, in_s),) = due(one(notice(200, next_at=900), delivery(201, "sent")), [Told()], 1000)
    assert (at, in_s) == (900, -100)


def test_nothing_is_due_once_an_audience_was_told_that_it_is_resolved() -> None:
    """And only then: that the incident is closed here does not tell the client."""
    told = [notice(200), delivery(201, "sent"), state(500, "resolved")]
    assert [one_due.type for one_due in due(one(*told), [Told()], 600)] == ["resolved"]
    closed = [*told, notice(600, "n2", "resolved", status="resolved"), delivery(601, "sent", "n2")]
    assert due(one(*closed), [Told()], 700) == ()
    again = [*closed, state(800, "open")]
    assert [one_due.type for one_due in due(one(*again), [Told()], 900)] == [UPDATE]


def test_an_audience_of_other_environments_is_owed_nothing_and_the_most_urgent_comes_first() -> None:
    """Who has staging as its business need not know of production."""
    audiences = [Told("other", ("staging",)), Told("slow", first_s=900), Told("quick", ("production",), 60)]
    assert [one_due.audience for one_due in due(one(), audiences, 0)] == ["quick", "slow"]


def test_the_public_status_follows_the_record_and_never_goes_back() -> None:
    """Clients who read "monitoring" and then "investigating" believe neither."""
    thought = line(110, "hypothesis", state="confirmed")
    assert status(one()) == "investigating"
    assert status(one(thought)) == "identified"
    assert status(one(line(110, "clock", clock="mitigated", value=110))) == "monitoring"
    assert status(one(notice(200, status="monitoring"), delivery(201, "sent"))) == "monitoring"
    assert status(one(state(200, "resolved"))) == "resolved"


def test_a_letter_is_no_word_of_the_cadence() -> None:
    """The client who got a letter about the last hours still has to hear of this one."""
    incident = one(notice(200, "n1", LETTER), delivery(201, "sent"))
    assert next_type(incident, "client") == FIRST


def test_each_delivery_stands_where_its_last_entry_left_it() -> None:
    """One target a line: half a notice that arrived is neither sent nor failed."""
    other = "json://hooks.example#abcd"
    told = [notice(200, "n1", FIRST, CLIENT, other), delivery(201, "trying"), delivery(202, "sent")]
    found = deliveries(entries(*told, delivery(203, "trying", target=other), delivery(204, "failed", target=other)))
    assert {target: (one.state, one.id, one.retry_at) for (_, target), one in found.items()} == {
        CLIENT: ("sent", 3, None),
        other: ("failed", 5, 204 + RETRY_S[0]),
    }


def test_an_attempt_without_a_result_is_unknown_as_soon_as_nobody_is_sending() -> None:
    """The server may have it: to send it again is a person's decision."""
    told = entries(notice(200, "n1", FIRST, CLIENT, "mailto:b@x"), delivery(201, "trying"))
    assert [one.state for one in deliveries(told).values()] == ["trying", "waiting"]
    unknown, waiting = deliveries(told, sending=False).values()
    assert (unknown.state, unknown.retry_at, waiting.retry_at) == ("unknown", None, 200)


def test_a_failed_delivery_waits_longer_each_time_until_it_is_given_up() -> None:
    """A server that is overwhelmed is not helped by us."""
    for attempt, wait in enumerate(RETRY_S, start=1):
        told = entries(notice(200), delivery(300, after("failed", attempt), attempt=attempt))
        (one_delivery,) = deliveries(told).values()
        assert (one_delivery.state, one_delivery.retry_at) == ("failed", 300 + wait)
    assert after("failed", len(RETRY_S) + 1) == "given up"
    assert after("sent", len(RETRY_S) + 1) == "sent"


def test_a_word_that_a_later_one_overtook_is_not_sent_any_more() -> None:
    """What says "investigating" and arrives after "resolved" would start it all again."""
    told = [notice(200), delivery(201, "failed"), notice(300, "n2", UPDATE)]
    for later in ([], [delivery(301, "failed", "n2")], [delivery(301, "sent", "n2")]):
        late = deliveries(entries(*told, *later))["n1", CLIENT]
        assert (late.overtaken, late.retry_at, late.is_lost) == (True, None, False)
    assert not deliveries(entries(*told, delivery(301, "given up", "n2")))["n1", CLIENT].overtaken


def test_a_letter_makes_old_no_word_but_a_letter() -> None:
    """Who asked for the letter twice while the mail server was down does not write to the client twice."""
    told = [notice(200, "n1", RESOLVED), notice(300, "n2", LETTER), notice(400, "n3", LETTER)]
    assert [one.overtaken for one in deliveries(entries(*told)).values()] == [False, True, False]


def test_the_name_of_a_target_holds_no_secret() -> None:
    """It is printed, recorded and searched."""
    assert target_name("mailto:ops@client.example") == "mailto:ops@client.example"
    assert target_name("json://bob:hunter2@hooks.example:8080/secret?x=y").startswith("json://hooks.example:8080#")
    assert target_name("mailto://bob:hunter2@mail.example").startswith("mailto://mail.example#")
    for target in ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnl", "tgram://123456789:abcdefg/1", "sendgrid://SG.a.b:c@d.e"):
        assert target_name(target).startswith(f"{target.split(':')[0]}://…#")
    assert target_name("json://h.example/a") != target_name("json://h.example/b")
    assert target_name("json://[::1") != target_name("json://h:nan")


def test_hostile_lines_are_passed_over() -> None:
    """What others wrote is never a reason to fail."""
    told = entries(line(200, "notice"), line(201, "delivery", notice=5), delivery(202, "sent", "unknown"))
    assert deliveries(told) == {}

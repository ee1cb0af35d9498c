"""What is owed and what did not arrive, in a line; the document of what was told; the retry that runs by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backout.flow.incidents import row_of
from backout.flow.instant import instant, instant_if_known
from backout.model.incident import (
    CLOCK,
    DELIVERY,
    ENTRY,
    HYPOTHESIS,
    INCIDENT,
    NOTICE,
    OPEN,
    RESOLVED,
    Incident,
    fold,
)
from backout.model.notice import (
    UNKNOWN,
    Delivery,
    deliveries,
    doubtful,
    drafted,
    due,
    each_target,
    target_name,
    words_sent,
)

if TYPE_CHECKING:  # a reminder must not wait for what reads a configuration and writes notices
    import subprocess

    from backout.config.values import Config
    from backout.flow.notices import Draft
    from backout.store.journal import Journal

KINDS = (NOTICE, DELIVERY, CLOCK, HYPOTHESIS)
"""What of a timeline tells of notices: the rest, which may be thousands of notes, is not read for it."""
_REMEMBERED_S = 7 * 86400.0
"""How long after an incident was resolved its notices are still spoken of."""
_MINUTE_S, _HOUR_MIN = 60, 60


def standing(journal: Journal) -> dict[str, Incident]:
    """Give every incident, with only those lines of its timeline that tell of notices."""
    events = [*journal.events(type=INCIDENT), *journal.events(type=ENTRY, kinds=KINDS)]
    return fold(row_of(event) for event in sorted(events, key=lambda event: event.seq))


def standing_deliveries(journal: Journal, incident: str) -> dict[tuple[str, str], Delivery]:
    """Give where each notice of an incident stands at each of its targets."""
    sending = journal.is_sending()
    entries = standing(journal)[incident].entries
    return deliveries(entries, sending=sending or journal.is_sending())


def address(config: Config, one: Delivery) -> str | None:
    """Give the address behind a target's name; None where the configuration has none such any more."""
    targets = [target for known in config.audiences if known.key == one.audience for target in each_target(known.to)]
    return next((target for target in targets if target_name(target) == one.target), None)


def reminder(journal: Journal, config: Config, now: float) -> str | None:
    """Say in a line who is owed the next word, and what did not arrive or may not have; None where all is well."""
    sending, told = journal.is_sending(), _remembered(journal, now)
    places = [one for incident in told for one in deliveries(incident.entries, sending=sending).values()]
    said = [_owed(told, config, now), _unknown(places), "" if sending else _lost(places)]
    return "; ".join(filter(None, said)) or None


def retry_in_background(journal: Journal, config: Config, now: float) -> subprocess.Popen[bytes] | None:
    """Start `backout tell --retry` by itself where something failed and is due; give the process, which none waits for.

    It has no terminal and outlives this command; what it does is in the journal.
    """
    if journal.is_sending() or not any(_is_due(one, config, now) for one in _places(journal, now)):
        return None
    import subprocess  # where it is needed alone: a reminder is asked for by commands that must feel instant

    words = [*(["--config", config.path] if config.path else []), "tell", "--retry", "--quiet"]
    return subprocess.Popen(
        [sys.executable, "-m", "backout", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def document(journal: Journal, names: Iterable[str]) -> dict[str, Any]:
    """Give the `backout.tell/1` document of notices that were sent, by their ids."""
    wanted, rows = set(names), []
    for incident in standing(journal).values():
        places = standing_deliveries(journal, incident.id)
        for entry in incident.of_kind(NOTICE):
            name = entry.body.get("notice")
            here = [one for (notice, _), one in places.items() if notice == name]
            if name in wanted and here:
                rows.append(_row(incident, entry.body, here))
    return {"schema": "backout.tell/1", "preview": False, "notices": rows}


def preview(incident: Incident, words: Sequence[Draft]) -> dict[str, Any]:
    """Give the `backout.tell/1` document of notices that would be sent."""
    rows = [
        _row(
            incident,
            {
                "audience": word.audience.key,
                "type": word.type,
                "status": word.status,
                "impact": word.impact,
                "subject": word.subject,
                "plain": word.plain,
                "next_at": word.fields.get("next_at"),
            },
            [
                Delivery("", word.audience.key, word.type, target_name(target), "preview", 0)
                for target in each_target(word.audience.to)
            ],
        )
        for word in words
    ]
    return {"schema": "backout.tell/1", "preview": True, "notices": rows}


def exit_code(document: dict[str, Any]) -> int:
    """Say how a telling ended: 5 where a person has to decide, 1 where something did not arrive, 0 where all did."""
    states = {place["state"] for row in document["notices"] for place in row["deliveries"] if not place["overtaken"]}
    return 5 if UNKNOWN in states else 1 if states & {"failed", "given up", "waiting"} else 0


def unsettled(journal: Journal, now: float) -> list[str]:
    """Name the notices of which some copy did not arrive, or may not have."""
    places = [
        one
        for incident in _remembered(journal, now)
        for one in standing_deliveries(journal, incident.id).values()
        if one.is_lost or (one.state == UNKNOWN and not one.overtaken)
    ]
    return list(dict.fromkeys(one.notice for one in places))


def is_untold(incident: Incident, config: Config) -> bool:
    """Tell whether an audience that heard of an incident, or is to hear its end, was not told yet that it is over."""
    owed = {one.audience for one in due(incident, config.audiences, 0)}
    return any(key in words_sent(incident) or drafted(incident, key, RESOLVED) is not None for key in owed)


def _row(incident: Incident, body: Any, places: Sequence[Delivery]) -> dict[str, Any]:
    next_at = body.get("next_at")
    return {
        "incident": incident.id,
        "environment": incident.environment,
        "notice": body.get("notice"),
        **{name: body[name] for name in ("audience", "type", "status", "impact", "subject", "plain")},
        "next_at": instant_if_known(next_at),
        "doubtful": [
            {"start": doubt.start, "end": doubt.end, "words": doubt.words, "why": doubt.why}
            for doubt in doubtful(body["type"], body["plain"])
        ],
        "deliveries": [
            {
                "id": one.id or None,
                "target": one.target,
                "state": one.state,
                "attempt": one.attempt,
                "at": instant(one.at) if one.at else None,
                "reply": one.reply,
                "retry_at": instant_if_known(one.retry_at),
                "overtaken": one.overtaken,
            }
            for one in places
        ],
    }


def _remembered(journal: Journal, now: float) -> list[Incident]:
    """Give the incidents that are open, and those that were resolved not long ago."""
    return [
        incident
        for incident in standing(journal).values()
        if incident.state == OPEN or now - (incident.clock("resolved") or now) < _REMEMBERED_S
    ]


def _places(journal: Journal, now: float) -> Iterator[Delivery]:
    for incident in _remembered(journal, now):
        yield from deliveries(incident.entries, sending=False).values()


def _is_due(one: Delivery, config: Config, now: float) -> bool:
    return one.retry_at is not None and one.retry_at <= now and address(config, one) is not None


def _owed(told: Iterable[Incident], config: Config, now: float) -> str:
    """Say whose next word is the most urgent; who never heard of an incident need not hear that it is over."""
    owed = sorted(
        (
            one
            for incident in told
            for one in due(incident, config.audiences, now)
            if incident.state == OPEN or one.audience in words_sent(incident)
        ),
        key=lambda one: one.at,
    )
    if not owed:
        return ""
    first = owed[0]
    when = f"is due in {_span(first.in_s)}" if first.in_s > 0 else f"is {_span(-first.in_s)} overdue"
    others = len({one.audience for one in owed} - {first.audience})
    more = f" (then {others} more)" if others else ""
    word = {"first": "first word", "resolved": "word that it is resolved"}.get(first.type, "next word")
    return f"The {word} to {first.audience} {when}{more}: backout tell"


def _unknown(places: Iterable[Delivery]) -> str:
    found = [one for one in places if one.state == UNKNOWN and not one.overtaken]
    if not found:
        return ""
    (first, more) = found[0], f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return f"nobody knows whether {first.target} has it{more}: backout tell --sent {first.id}, or --again {first.id}"


def _lost(places: Iterable[Delivery]) -> str:
    found = [one for one in places if one.is_lost]
    ways = ["--retry" if one.retry_at is not None else f"--again {one.id}" for one in found]
    targets = ", ".join(sorted({one.target for one in found}))
    return f"NOT DELIVERED to {targets}: backout tell {ways[0]}" if found else ""


def _span(seconds: float) -> str:
    minutes = int(seconds // _MINUTE_S)
    if not minutes:
        return f"{int(seconds)} s"
    return f"{minutes} min" if minutes < 2 * _HOUR_MIN else f"{minutes // _HOUR_MIN} h"

"""Notices: what each must hold and must not, when an audience's next word is due, what became of each delivery. Pure.

What a notice holds follows PagerDuty's and Atlassian's incident guides; the words of the public status and its impact
are Statuspage's (https://developer.statuspage.io, "incidents").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from backout.model import shape
from backout.model.incident import CONFIRMED, DELIVERY, NOTICE, RESOLVED, Entry, Incident

FIRST, UPDATE, LETTER = "first", "update", "letter"
TYPES = (FIRST, UPDATE, RESOLVED, LETTER)
FIELDS: Mapping[str, tuple[str, ...]] = {
    FIRST: ("seen", "next_at"),
    UPDATE: ("changed", "remedy", "next_at"),
    RESOLVED: ("since", "lost"),
    LETTER: ("how_long", "why", "done", "lost", "again"),
}
"""What each must hold; `next_at` and `since` are seconds since the epoch, UTC, the others text. That somebody is on it
is said in each first word without asking."""

INVESTIGATING, IDENTIFIED, MONITORING = "investigating", "identified", "monitoring"
STATUSES = (INVESTIGATING, IDENTIFIED, MONITORING, RESOLVED)
"""The public status, in the order in which an incident walks through it."""
IMPACTS: Mapping[int, str] = {1: "critical", 2: "major", 3: "none"}
"""The public impact of a severity: clients are down, clients notice, nobody outside notices."""

TRYING, SENT, FAILED, UNKNOWN, GIVEN_UP = "trying", "sent", "failed", "unknown", "given up"
WAITING = "waiting"
"""The state of a delivery that was never tried: it is recorded with its notice, before anything is sent."""
DELIVERY_STATES = (TRYING, SENT, FAILED, UNKNOWN, GIVEN_UP)
RETRY_S = (30.0, 120.0, 300.0, 900.0)
"""Seconds from a failed attempt to the next one, at least; after the last of them it is given up."""

_NOTICE = shape.fields(
    {
        "notice": shape.text,
        "audience": shape.text,
        "type": shape.one_of(*TYPES),
        "status": shape.one_of(*STATUSES),
        "targets": shape.many(shape.text),
    }
)
_DELIVERY = shape.fields(
    {
        "notice": shape.text,
        "target": shape.text,
        "attempt": shape.whole,
        "message_id": shape.text,
        "state": shape.one_of(*DELIVERY_STATES),
    }
)
_OWN_HOST = {
    *("form", "forms", "gotify", "gotifys", "json", "jsons", "mailto", "mailtos"),
    *("matrix", "matrixs", "mmost", "mmosts", "rocket", "rockets", "xml", "xmls"),
}
"""Channels whose address begins with the host of a server; others have a token there, which is a secret."""


class Cadence(Protocol):
    """Who is told, of which environments (of all where none is named), and how often."""

    @property
    def key(self) -> str:
        """Its name in backout.toml."""

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments whose incidents it is told of."""

    @property
    def first_s(self) -> float:
        """Seconds from the declaration to the first word."""

    @property
    def every_s(self) -> float:
        """Seconds from each word to the next."""


class Doubt(NamedTuple):
    """Words from `start` to `end` of a text that a notice of its type must not hold, and why."""

    start: int
    end: int
    words: str
    why: str


class Due(NamedTuple):
    """The next word that an audience is owed; `in_s` is below 0 where it is overdue."""

    audience: str
    type: str
    at: float
    in_s: float


class Message(NamedTuple):
    """What goes to one target. `id` is its Message-ID (RFC 5322, 3.6.4), the same at each attempt."""

    id: str
    subject: str
    plain: str
    html: str


class Result(NamedTuple):
    """What became of an attempt: SENT, FAILED (it is not there), UNKNOWN (it may be), and what the other side said."""

    state: str
    reply: str


class Delivery(NamedTuple):
    """Where one notice stands at one target.

    `id` is the seq of the entry that announced the last attempt, by which a person names it; 0 where there was none.
    `at` is when that state was reached. `overtaken` tells that a later word of the same incident is there, or on its
    way: this one would only confuse.
    """

    notice: str
    audience: str
    type: str
    target: str
    state: str
    at: float
    id: int = 0
    attempt: int = 0
    message_id: str = ""
    reply: str = ""
    overtaken: bool = False

    @property
    def retry_at(self) -> float | None:
        """Give from when on it is tried again by itself; None where it never is."""
        if self.overtaken or self.state not in (WAITING, FAILED):
            return None
        if self.state == WAITING:
            return self.at
        return self.at + RETRY_S[self.attempt - 1] if 0 < self.attempt <= len(RETRY_S) else None

    @property
    def is_lost(self) -> bool:
        """Tell whether a person has to hear of it: it did not arrive, and no later word did."""
        return self.state in (WAITING, FAILED, GIVEN_UP) and not self.overtaken


def missing(type: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what a notice of this type must hold and does not."""
    return tuple(name for name in FIELDS[type] if not _given(fields.get(name)))


def _given(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else shape.number(value)


_CAUSE = r"because|cause[ds]?|due to|owing to|as a result of|root[- ]cause|the reason|thanks to"
_END = (
    r"(?:with)?in (?:(?:about|around|roughly|the next|a few|less than|at most)\s+)*(?:an?|one|two|\d+)?\s*"
    r"(?:seconds?|minutes?|mins?|hours?|hrs?|days?|moments?)"
    r"|(?:by|until|no later than)\s+(?:(?:about|around)\s+)?"
    r"(?:\d{1,2}[:.]\d\d|\d{1,2} ?(?:am|pm|o'clock)|noon|midnight|tonight|today|tomorrow|this evening)"
    r"|soon|shortly|any (?:minute|moment)|momentarily|in no time|ETA"
)
_BLAME = (
    r"(?:human|operator|user) error|\w+\W?s (?:fault|mistake|error)|(?:fault|mistake) (?:of|by)|to blame|blame[ds]?"
    r"|forgot(?:ten)?|failed to|neglected|negligen(?:t|ce)|careless(?:ness|ly)?|(?:should|could|would) have"
)
_WEAK = (
    r"hopefully|probably|perhaps|maybe|possibly|somewhat|sort of|kind of|a bit|basically|unfortunately|hiccup|glitch"
    r"|tr(?:y|ied) to|as soon as possible|make sure|more careful|look(?:ing)? into|any inconvenience"
)
_DOUBTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    FIRST: ((_CAUSE, "a cause: it is not known yet"), (_END, "an end time: it is not known yet")),
    UPDATE: ((_END, "a promised end: say when the next word comes instead"),),
    RESOLVED: (),
    LETTER: ((_BLAME, "blame: say what happened, not who"), (_WEAK, "a weak word: say what is so, or leave it out")),
}


def doubtful(type: str, text: str) -> tuple[Doubt, ...]:
    """Mark what a notice of this type must not hold, in the order of the text; shown to a person, never refused."""
    found = [
        Doubt(match.start(), match.end(), match.group(), why)
        for words, why in _DOUBTS[type]
        for match in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE)
    ]
    return tuple(sorted(found))


def target_name(target: str) -> str:
    """Name a target so that it can be printed and kept: a mail address as it is, else the scheme and the host.

    The rest of an address may hold a secret (RFC 3986, 7.5; most chat services put a token there, some as the host):
    a short hash stands for it, by which two of one host are told apart.
    """
    scheme, _, rest = target.partition(":")
    if is_mail(target):
        return f"mailto:{rest}"
    import hashlib  # here alone: most commands that ask for a word due have no such target
    from urllib.parse import urlsplit

    mark = hashlib.sha256(target.encode("utf-8", "surrogatepass")).hexdigest()[:4]
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:  # a port that is no number, a bracket that is not closed
        host, port = "", ""
    is_server = scheme.lower() in _OWN_HOST and (host == "localhost" or "." in host or ":" in host)
    return f"{scheme.lower()}://{host + port if is_server else '…'}#{mark}"


def is_mail(target: str) -> bool:
    """Tell whether a target is a mail address, which goes by the server of `[mail]`."""
    scheme, _, rest = target.partition(":")
    return scheme.lower() == "mailto" and not rest.startswith("//")


def each_target(to: Iterable[str]) -> tuple[str, ...]:
    """Give targets one by one: a mail address may name several people, of whom each gets a mail of their own."""
    every = [
        f"mailto:{one.strip()}" if is_mail(target) else one
        for target in to
        for one in (target.partition(":")[2].split(",") if is_mail(target) else [target])
    ]
    return tuple(dict.fromkeys(every))


def told_of(incident: Incident, audiences: Iterable[Cadence]) -> tuple[str, ...]:
    """Give the keys of the audiences that are told of an incident in this environment, in the order of the file."""
    return tuple(one.key for one in audiences if not one.environments or incident.environment in one.environments)


def words_sent(incident: Incident) -> dict[str, tuple[Entry, ...]]:
    """Give the notices of which at least one target took its copy, by audience, in the order of their sending."""
    notices = {entry.body["notice"]: entry for entry in _notices(incident.entries)}
    sent = [
        entry.body["notice"]
        for entry in incident.of_kind(DELIVERY)
        if _DELIVERY(entry.body) and entry.body["state"] == SENT and entry.body["notice"] in notices
    ]
    found: dict[str, tuple[Entry, ...]] = {}
    for name in dict.fromkeys(sent):
        audience = notices[name].body["audience"]
        found[audience] = (*found.get(audience, ()), notices[name])
    return found


def next_type(incident: Incident, audience: str) -> str:
    """Say which word an audience gets next: its first one, an update, or that it is resolved."""
    if incident.state == RESOLVED:
        return RESOLVED
    return UPDATE if any(entry.body["type"] != LETTER for entry in words_sent(incident).get(audience, ())) else FIRST


def status(incident: Incident) -> str:
    """Say where an incident stands in public, as its record tells; what was said to anybody is not taken back."""
    if incident.state == RESOLVED:
        return RESOLVED
    said: list[str] = [entry.body["status"] for words in words_sent(incident).values() for entry in words]
    known = IDENTIFIED if CONFIRMED in incident.thoughts().values() else INVESTIGATING
    here = MONITORING if incident.clock("mitigated") is not None else known
    return max((here, *(one for one in said if one != RESOLVED)), key=STATUSES.index)


def due(incident: Incident, audiences: Iterable[Cadence], now: float) -> tuple[Due, ...]:
    """Give the next word that each audience is owed, the most urgent first.

    The first is due `first_s` after the declaration, each next one when the last one said, else `every_s` after it,
    until an audience was told that it is resolved.
    """
    known = list(audiences)
    owed, sent = told_of(incident, known), words_sent(incident)
    found = []
    for audience in (one for one in known if one.key in owed):
        words = [entry for entry in sent.get(audience.key, ()) if entry.body["type"] != LETTER]
        if words and words[-1].body["type"] == RESOLVED == incident.state:
            continue
        at = incident.declared_at + audience.first_s
        if words:
            promised: Any = words[-1].body.get("next_at")
            at = promised if shape.number(promised) else words[-1].at + audience.every_s
        found.append(Due(audience.key, next_type(incident, audience.key), at, at - now))
    return tuple(sorted(found, key=lambda one: one.at))


class Word(NamedTuple):
    """A word that an audience got, or was owed and never got (`at` is None), and when it was due; letters never are."""

    audience: str
    type: str
    at: float | None
    due: float | None


def told(incident: Incident, audiences: Iterable[Cadence]) -> tuple[Word, ...]:
    """Give every word that went to each audience, with the time at which it was due; at the end what it never got."""
    known = list(audiences)
    owed, sent, arrived = told_of(incident, known), words_sent(incident), _arrived(incident)
    found = []
    for audience in (one for one in known if one.key in owed):
        due: float = incident.declared_at + audience.first_s
        words = sent.get(audience.key, ())
        for entry in words:
            at, is_letter = arrived[entry.body["notice"]], entry.body["type"] == LETTER
            found.append(Word(audience.key, entry.body["type"], at, None if is_letter else due))
            promised: Any = entry.body.get("next_at")
            due = due if is_letter else promised if shape.number(promised) else at + audience.every_s
        if RESOLVED not in [entry.body["type"] for entry in words]:
            found.append(Word(audience.key, next_type(incident, audience.key), None, due))
    return tuple(found)


def _arrived(incident: Incident) -> dict[str, float]:
    """Give when the first target took its copy of each notice."""
    taken = [entry for entry in incident.of_kind(DELIVERY) if _DELIVERY(entry.body) and entry.body["state"] == SENT]
    return {entry.body["notice"]: entry.at for entry in reversed(taken)}


def deliveries(entries: Iterable[Entry], *, sending: bool = True) -> dict[tuple[str, str], Delivery]:
    """Give where each notice stands at each of its targets, in the order of the notices.

    Where nobody is `sending`, an attempt without a result is UNKNOWN: the server may have it.
    """
    found: dict[tuple[str, str], Delivery] = {}
    for entry in sorted(entries, key=lambda one: one.seq):
        body = entry.body
        if entry.kind == NOTICE and _NOTICE(body):
            for target in body["targets"]:
                place = Delivery(body["notice"], body["audience"], body["type"], target, WAITING, entry.at)
                found.setdefault((body["notice"], target), place)
        elif entry.kind == DELIVERY and _DELIVERY(body) and (body["notice"], body["target"]) in found:
            key = body["notice"], body["target"]
            found[key] = _moved(found[key], entry)
    if not sending:
        for key, one in found.items():
            if one.state == TRYING:
                found[key] = one._replace(state=UNKNOWN, reply="nobody recorded what the server said")
    return _overtaken(found)


def _moved(before: Delivery, entry: Entry) -> Delivery:
    body = entry.body
    return before._replace(
        state=body["state"],
        at=entry.at,
        id=entry.seq if body["state"] == TRYING else before.id,
        attempt=body["attempt"],
        message_id=body["message_id"],
        reply=str(body.get("reply", "")),
    )


def _overtaken(found: dict[tuple[str, str], Delivery]) -> dict[tuple[str, str], Delivery]:
    """Mark what a later word to the same audience made old; a letter is made old by a letter alone.

    One that was given up made nothing old.
    """
    later: set[tuple[str, str, bool]] = set()
    for key, one in reversed(list(found.items())):
        place = one.audience, one.target, one.type == LETTER
        found[key] = one._replace(overtaken=place in later)
        if one.state != GIVEN_UP:
            later.add(place)
    return found


def after(state: str, attempt: int) -> str:
    """Say which state an attempt leaves: one that failed once too often is given up."""
    return GIVEN_UP if state == FAILED and attempt > len(RETRY_S) else state


def _notices(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.kind == NOTICE and _NOTICE(entry.body)]


def drafted(incident: Incident, audience: str, type: str) -> Entry | None:
    """Give the newest draft of a notice to an audience, which `calm` or `tell` kept; None where there is none.

    A draft has no targets, so that nothing sends it by itself; what is sent is a notice of its own.
    """
    found = [entry for entry in _notices(incident.entries) if entry.body.get("draft") is True]
    own = [entry for entry in found if (entry.body["audience"], entry.body["type"]) == (audience, type)]
    return own[-1] if own else None


def is_told(incident: Incident, draft: Entry) -> bool:
    """Tell whether what was drafted was sent since: some target took a notice of its type that is no older."""
    sent = words_sent(incident).get(draft.body["audience"], ())
    return any(entry.body["type"] == draft.body["type"] and entry.seq > draft.seq for entry in sent)

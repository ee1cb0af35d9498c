"""Notices before they go out: who gets which word, what it holds, what it lacks, and how it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from backout.config.guards import zone_of
from backout.config.nearest import did_you_mean
from backout.config.values import Audience, Config
from backout.errors import ConfigError, UsageError
from backout.flow.incidents import NO_ENVIRONMENT, record
from backout.model import notice as model
from backout.model.incident import NOTE, NOTICE, RESOLVED, Incident
from backout.model.notice import FIRST, LETTER, UPDATE, Doubt
from backout.model.redact import redact
from backout.render import notice as written
from backout.store.journal import Event, Journal


class Wish(NamedTuple):
    """What a person wants to say: to whom (to all, where none is named), and the fields that were given.

    `text` is what is seen in a first word, what changed in an update, and what was done where it is resolved.
    A letter is what `calm` drafted; so is the word that it is resolved, but for what is said here.
    """

    audiences: tuple[str, ...] = ()
    text: str = ""
    fields: Mapping[str, Any] = {}
    status: str | None = None
    next_s: float | None = None
    is_letter: bool = False


class Draft(NamedTuple):
    """A notice to one audience as it would go out; `missing` are the fields without which it must not."""

    audience: Audience
    type: str
    status: str
    impact: str
    fields: Mapping[str, Any]
    subject: str
    plain: str
    html: str
    missing: tuple[str, ...]
    doubts: tuple[Doubt, ...]


def drafts(incident: Incident, config: Config, wish: Wish, now: float) -> list[Draft]:
    """Write the next word for each audience that is meant, in the order of the file."""
    _require_fitting(incident, wish)
    meant = audiences(incident, config, wish.audiences)
    if wish.is_letter:
        meant = _who_lack_their_letter(incident, meant)
    return [_next_word(incident, audience, wish, now) for audience in meant]


def draft(incident: Incident, audience: Audience, type: str, status: str, fields: Mapping[str, Any]) -> Draft:
    """Write a notice of any type; its texts are rid of secrets first, so that what goes out is what is recorded."""
    sound = {name: _sayable(redact(value)) if isinstance(value, str) else value for name, value in fields.items()}
    where = "" if incident.environment == NO_ENVIRONMENT else incident.environment
    impact = model.IMPACTS[incident.severity]
    zone = zone_of(audience.zone) if audience.zone else None
    text = written.notice(type, status=status, impact=impact, environment=where, fields=sound, zone=zone)
    lacks, doubts = model.missing(type, sound), model.doubtful(type, text.plain)
    return Draft(audience, type, status, impact, sound, *text, lacks, doubts)


def _sayable(text: str) -> str:
    """Replace what was typed and is no UTF-8: no mail and no channel takes it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def keep_draft(journal: Journal, who: str, incident: str, word: Draft, new_id: Callable[[], str]) -> Event:
    """Record a notice as far as it is written: it has no targets, so that nothing sends it by itself."""
    (html,) = journal.keep([word.html.encode()])
    more = {
        "notice": f"d{new_id()}",
        "draft": True,
        "audience": word.audience.key,
        **{name: getattr(word, name) for name in ("type", "status", "impact", "subject", "plain")},
        "html": html,
        "fields": dict(word.fields),
        "targets": [],
        "next_at": None,
    }
    return record(journal, who, incident, NOTICE, word.subject, more=more)


def answered(incident: Incident, words: Iterable[Draft]) -> dict[str, str]:
    """Give the texts of the drafts of these words that were kept and not sent, by the names of their fields."""
    known = (model.drafted(incident, word.audience.key, word.type) for word in words)
    unsent = (entry for entry in known if entry is not None and not model.is_told(incident, entry))
    fields = (entry.body.get("fields", {}) for entry in unsent)
    return {name: value for each in fields for name, value in each.items() if isinstance(value, str) and value}


def audiences(incident: Incident, config: Config, named: Iterable[str] = ()) -> list[Audience]:
    """Give the audiences of these names, else all that are told of incidents in this environment.

    A ConfigError where there is none; a name that is none is a UsageError.
    """
    known = {audience.key: audience for audience in config.audiences}
    if not known:
        raise ConfigError(
            f"{config.path or 'There is no backout.toml, so it'} names no audience: nobody can be told.",
            next='Add one: [audiences.client] with to = ["mailto:ops@client.example"]',
        )
    for name in named:
        if name not in known:
            raise UsageError(f"{config.path} has no audience {name!r}.", next=did_you_mean(name, [*known]))
    wanted = set(named) or set(model.told_of(incident, config.audiences))
    if not wanted:
        raise ConfigError(f"{config.path} names no audience that is told of {incident.environment}.")
    return [audience for key, audience in known.items() if key in wanted]


def _require_fitting(incident: Incident, wish: Wish) -> None:
    is_resolved = incident.state == RESOLVED
    if wish.is_letter and not is_resolved:
        raise UsageError(f"Incident {incident.id} is open: its letter is written at the end.", next="backout calm")
    if wish.status == RESOLVED and not is_resolved:
        raise UsageError(f"Incident {incident.id} is open: it cannot be told to be resolved.", next="backout calm")
    if is_resolved and wish.status not in (None, RESOLVED):
        raise UsageError(f"Incident {incident.id} is resolved: it cannot be told to be {wish.status}.")


def _who_lack_their_letter(incident: Incident, meant: Iterable[Audience]) -> list[Audience]:
    """Give those whose letter is drafted and was not sent: nobody gets the same one twice."""
    letters = {audience: model.drafted(incident, audience.key, LETTER) for audience in meant}
    lacking = [audience for audience, draft in letters.items() if draft and not model.is_told(incident, draft)]
    if not lacking:
        what = "each was sent already" if any(letters.values()) else "none is drafted"
        raise UsageError(f"No letter of {incident.id} waits to be sent: {what}.", next="backout calm writes them.")
    return lacking


def _next_word(incident: Incident, audience: Audience, wish: Wish, now: float) -> Draft:
    given = wish.fields
    word = LETTER if wish.is_letter else model.next_type(incident, audience.key)
    before = _drafted(incident, audience, word)
    next_at = now + (audience.every_s if wish.next_s is None else wish.next_s)
    if word == FIRST:
        fields = {"seen": given.get("seen") or wish.text or incident.text or _answered(incident), "next_at": next_at}
    elif word == UPDATE:
        changed = given.get("changed") or wish.text
        fields = {"changed": changed, "remedy": given.get("remedy", ""), "next_at": next_at}
    elif word == RESOLVED:
        since = given.get("since") or incident.clock("mitigated") or incident.clock("resolved")
        lost = given.get("lost") or before.get("lost", "")
        fields = {"since": since, "done": wish.text or before.get("done", ""), "lost": lost}
    else:
        fields = {**before, **({"lost": given["lost"]} if given.get("lost") else {})}
    return draft(incident, audience, word, wish.status or model.status(incident), fields)


def _drafted(incident: Incident, audience: Audience, type: str) -> Mapping[str, Any]:
    """Give the fields of what `calm` drafted."""
    entry = model.drafted(incident, audience.key, type)
    return entry.body.get("fields", {}) if entry is not None else {}


def _answered(incident: Incident) -> str:
    """Give the last answer to "what do you see"."""
    answers = [entry.text for entry in incident.of_kind(NOTE) if entry.body.get("asked") == "see"]
    return answers[-1] if answers else ""

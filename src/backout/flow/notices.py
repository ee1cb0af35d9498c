"""Notices before they go out: who gets which word, what it holds, what it lacks, and how it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backout.config.guards import zone_of
from backout.config.nearest import did_you_mean
from backout.config.values import Audience, Config
from backout.errors import ConfigError, UsageError
from backout.flow.incidents import NO_ENVIRONMENT
from backout.model import notice as model
from backout.model.incident import NOTE, RESOLVED, Incident
from backout.model.notice import FIRST, UPDATE, Doubt
from backout.model.redact import redact
from backout.render import notice as written


class Wish(NamedTuple):
    """What a person wants to say: to whom (to all, where none is named), and the fields that were given.

    `text` is what is seen in a first word, what changed in an update, and what was done where it is resolved.
    """

    audiences: tuple[str, ...] = ()
    text: str = ""
    fields: Mapping[str, Any] = {}
    status: str | None = None
    next_s: float | None = None


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
    return [_next_word(incident, audience, wish, now) for audience in audiences(incident, config, wish.audiences)]


def draft(incident: Incident, audience: Audience, type: str, status: str, fields: Mapping[str, Any]) -> Draft:
    """Write a notice of any type; its texts are rid of secrets first, so that what goes out is what is recorded."""
    sound = {name: redact(value) if isinstance(value, str) else value for name, value in fields.items()}
    where = "" if incident.environment == NO_ENVIRONMENT else incident.environment
    impact = model.IMPACTS[incident.severity]
    zone = zone_of(audience.zone) if audience.zone else None
    text = written.notice(type, status=status, impact=impact, environment=where, fields=sound, zone=zone)
    lacks, doubts = model.missing(type, sound), model.doubtful(type, text.plain)
    return Draft(audience, type, status, impact, sound, *text, lacks, doubts)


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
    if wish.status == RESOLVED and not is_resolved:
        raise UsageError(f"Incident {incident.id} is open: it cannot be told to be resolved.", next="backout calm")
    if is_resolved and wish.status not in (None, RESOLVED):
        raise UsageError(f"Incident {incident.id} is resolved: it cannot be told to be {wish.status}.")


def _next_word(incident: Incident, audience: Audience, wish: Wish, now: float) -> Draft:
    word, given = model.next_type(incident, audience.key), wish.fields
    next_at = now + (audience.every_s if wish.next_s is None else wish.next_s)
    if word == FIRST:
        fields = {"seen": given.get("seen") or wish.text or incident.text or _answered(incident), "next_at": next_at}
    elif word == UPDATE:
        changed = given.get("changed") or wish.text
        fields = {"changed": changed, "remedy": given.get("remedy", ""), "next_at": next_at}
    else:
        since = given.get("since") or incident.clock("mitigated") or incident.clock("resolved")
        fields = {"since": since, "done": wish.text, "lost": given.get("lost", "")}
    return draft(incident, audience, word, wish.status or model.status(incident), fields)


def _answered(incident: Incident) -> str:
    """Give the last answer to "what do you see"."""
    answers = [entry.text for entry in incident.of_kind(NOTE) if entry.body.get("asked") == "see"]
    return answers[-1] if answers else ""

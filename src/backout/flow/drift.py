"""`backout drift`: what changed on a host since backout last left it, which no change of backout's did."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout import __version__
from backout.errors import BackoutError, FailedError
from backout.flow.compare import owners
from backout.flow.fleet import Fleet, Greeting, exit_code
from backout.flow.instant import instant
from backout.flow.look import LIMIT_S, look_at
from backout.flow.looked import LOOK, Look, compared, heads, look_of
from backout.flow.session import Session, require_finished
from backout.model.digest import digest
from backout.model.effect import KINDS, Effect, effect_from, operation, order
from backout.model.ledger import KEPT, has_effects
from backout.model.meant import OWN_COUNTERS
from backout.model.parity import ORDER, Comparison, Difference, masked, names
from backout.model.redact import redact
from backout.store.journal import Event, Journal

GROUND = "ground"
"""The type of an event that makes a look the one that drift is told from."""
NONE, DRIFT = 0, 3
_MADE_OF = {"os": "/etc/os-release", "timezone": "/etc/localtime", "locale": "/etc/default/locale"}
_OF_SERVICES = ("port", "timer", "variable")


class Own(NamedTuple):
    """What changes of backout's did since a look: their ids, their effects by subject, and how they left paths."""

    changes: list[str]
    effects: dict[tuple[str, str], Effect]
    left: dict[str, Any]
    touched: frozenset[str]


def drift(fleet: Fleet, environment: str, why: str | None) -> tuple[dict[str, Any], int]:
    """Give the `backout.drift/1` document and the exit code; with a reason, drift is adopted."""
    found = fleet.each(lambda session: _on_host(session, fleet.greetings[session.host], why), limit_s=LIMIT_S)
    rows, codes = [], []
    for host, answer in fleet.everyone(found).items():
        if isinstance(answer, BackoutError):
            rows.append({**_ROW, "host": host, "error": answer.what})
            codes.append(answer.exit_code)
        else:
            rows.append(answer)
            codes.append(DRIFT if answer["differences"] and answer["adopted"] is None else NONE)
    document = {"schema": "backout.drift/1", "environment": environment, "hosts": rows}
    return document, exit_code(codes)


_ROW: dict[str, Any] = {
    "ground": None,
    "at": None,
    "explained": 0,
    "changes": [],
    "adopted": None,
    "error": None,
    "differences": [],
}


def _on_host(session: Session, greeting: Greeting, why: str | None) -> dict[str, Any]:
    require_finished(session)
    journal = session.journal
    if journal is None:
        raise FailedError("There is no journal to tell drift from.")
    host, environment = session.host, None if session.environment is None else session.environment.name
    ground = _ground(journal, environment, host)
    now = look_at(session, greeting).look
    if ground is None:
        _found_ground(session, journal, now)
        return {**_ROW, "host": host, "at": instant(now.at)}
    differences = _differences(journal, ground, now)
    own = _own(session, ground, differences)
    left = _unexplained(differences, own)
    adopted = None
    if left and why is not None:
        adopted = _adopt(session, ground, now, left, why)
    if adopted is not None or not left:
        _found_ground(session, journal, now)
    return {
        "host": host,
        "ground": instant(ground.at),
        "at": instant(now.at),
        "explained": len(_without_twins(differences)) - len(left),
        "changes": own.changes,
        "adopted": adopted,
        "error": None,
        "differences": _told(session, ground, left, host),
    }


def _surprise(found: Difference) -> tuple[int, list[str]]:
    return ORDER.index(found.kind), found.subject.split("/")


def _ground(journal: Journal, environment: str | None, host: str) -> Look | None:
    """Give the look from which drift is told: the last one made so, else the oldest."""
    looks: dict[int, Event] = {}
    chosen: Event | None = None
    for event in journal.events():
        if (event.body.get("environment"), event.body.get("host")) == (environment, host):
            if event.type == LOOK:
                looks[event.seq] = event
                chosen = chosen or event
            elif event.type == GROUND:
                chosen = looks.get(event.body["look"], chosen)
    return None if chosen is None else look_of(journal, chosen)


def _found_ground(session: Session, journal: Journal, look: Look) -> None:
    """Let drift be told from this look from now on."""
    body = {"host": look.host, "environment": look.environment, "look": look.seq}
    journal.append(at=time.time(), actor=str(session.who), type=GROUND, body=body)


def _differences(journal: Journal, ground: Look, now: Look) -> list[Difference]:
    known = [names(heads(journal, look)) for look in (ground, now)]
    comparison = Comparison(known[0], known[1], masked(heads(journal, ground)), whole_files=True)
    found = comparison.differences(compared(journal, ground, now))
    return [d for d in found if not any(rule.what.matches(d.effect) for rule in OWN_COUNTERS)]


def _own(session: Session, ground: Look, differences: Sequence[Difference]) -> Own:
    """Ask the host what its changes did since a look."""
    entries, since = session.link.ask("entries"), ground.body["ledger_seq"]
    bodies: dict[str, dict[str, Any]] = {}
    for entry in entries:
        bodies.setdefault(entry["change"], {}).update(entry["body"])
    kept = [entry["change"] for entry in entries if entry["kind"] == KEPT and entry["seq"] > since]
    adopted = {change for change, body in bodies.items() if body.get("adopted")}  # maybe by somebody else
    changes = [change for change in dict.fromkeys(kept) if change not in adopted]
    effects: dict[tuple[str, str], Effect] = {}
    touched: set[str] = set()
    for change in dict.fromkeys(kept):
        for effect in _effects(session, change, bodies):
            effects[effect.kind, effect.subject] = effect
            touched.update(map(str, effect.document()["paths"]))
    paths = sorted({path for d in differences for path in _paths(d)})
    left = session.link.ask("left", changes=changes, paths=paths) if changes else {}
    return Own(changes, effects, left, frozenset(touched))


def _effects(session: Session, change: str, bodies: Mapping[str, dict[str, Any]]) -> Iterable[Effect]:
    """Give a change's effects; of a back-out those of what it took back, the other way around."""
    undone = bodies[change].get("undoes")
    measured = bodies[undone or change]
    if not has_effects(measured):  # a pause
        is_active = {"active": undone is not None}
        return [Effect("service", unit, "requested", None, is_active) for unit in measured["command"][2:]]
    document = session.link.ask("show", change=undone or change)["document"]
    effects = [effect_from(effect) for effect in document["effects"]]
    return [e._replace(before=e.after, after=e.before) for e in effects] if undone else effects


def _paths(found: Difference) -> list[str]:
    """Name the files in which a difference lies, where that is known."""
    if found.kind in ("file", "certificate"):
        return [found.subject]
    if found.kind == "config":
        return [found.subject.partition("#")[0]]
    return [_MADE_OF[found.kind]] if found.kind in _MADE_OF else []


def _unexplained(differences: Sequence[Difference], own: Own) -> list[Difference]:
    """Give what no change of backout's left as it is now, what surprises most first."""
    whole = {d.subject for d in differences if d.kind == "file" and _as_left(d, own)}
    found = [d for d in differences if not _explained(d, own, whole)]
    return sorted(_without_twins(found), key=_surprise)


def _without_twins(differences: Sequence[Difference]) -> list[Difference]:
    """Leave out files that are told by their keys."""
    paths = {d.subject.partition("#")[0] for d in differences if d.kind == "config"}
    return [d for d in differences if d.kind != "file" or d.subject not in paths]


def _as_left(found: Difference, own: Own) -> bool:
    return found.subject in own.left and _same(own.left[found.subject], found.after)


def _explained(found: Difference, own: Own, whole: Collection[str]) -> bool:
    """Tell whether a change of backout's left it as it is now; `whole` are the files that are as they were left."""
    if found.kind in ("file", "config") and found.subject.partition("#")[0] in whole:
        return True
    effect = own.effects.get((found.kind, found.subject))
    if effect is not None and (found.kind != "file" or found.subject not in own.left):
        return _same(effect.after, found.after)
    return found.kind not in ("file", "config") and _brought_along(found, own)


def _brought_along(found: Difference, own: Own) -> bool:
    """Tell whether it follows from what a change of backout's did, though it is no effect of its own."""
    if found.kind in _OF_SERVICES:  # what a service does when it is started anew
        return any(kind == "service" for kind, _ in own.effects)
    if found.kind == "python":
        return any(path.startswith(f"{found.subject}/") for path in own.touched)
    return any(path in own.touched for path in _paths(found))


def _same(left: Any, now: Any) -> bool:
    """Compare what an effect left with a fact, which may say more or less of it."""
    if isinstance(now, dict) and now.get("type") == "missing":
        return left is None
    if isinstance(left, dict) and isinstance(now, dict):
        return all(left[name] == now[name] for name in left.keys() & now.keys())
    return bool(left == now)


def _told(session: Session, ground: Look, left: Sequence[Difference], host: str) -> list[dict[str, Any]]:
    """Give the rows of a document, with who probably did each."""
    wanted = [{"kind": found.kind, "subject": found.subject} for found in left]
    by = (
        session.link.ask("attribute", wanted=wanted, since_s=max(0, ground.at + ground.body["skew_s"]))
        if wanted
        else []
    )
    return [
        {
            "kind": found.kind,
            "subject": found.subject,
            "op": operation(found.before, found.after),
            "before": found.before,
            "after": found.after,
            "owners": owners(found),
            "hosts": [host],
            "hidden": list(found.hidden),
            "by": who,
        }
        for found, who in zip(left, by, strict=True)
    ]


def _adopt(session: Session, ground: Look, now: Look, left: Sequence[Difference], why: str) -> str:
    """Record drift on the host as a change of its own; gives its id."""
    new = session.new_id()
    effects = order([_effect(found) for found in left if found.kind in KINDS])
    others = [f"{found.kind} {found.subject}: {found.before} before, {found.after} now." for found in left]
    others = [text for text, found in zip(others, left, strict=True) if found.kind not in KINDS]
    command = ["backout", "drift", "--adopt"]
    reason = redact(why)
    body = {
        "release": __version__,
        "who": str(session.who),
        "why": reason,
        "command": command,
        "environment": now.environment,
        "digest": digest(effects),
        "checks": [],
    }
    document = {
        "schema": "backout.effects/1",
        "change": new,
        "environment": now.environment,
        "host": session.link.ask("hello")["host"],
        "command": command,
        "cwd": "/",
        "exit_code": 0,
        "started_at": instant(now.at),
        "duration_s": 0,
        "base": instant(ground.at),
        "digest": digest(effects),
        "effects": [effect.document() for effect in effects],
        "noise": [],
        "limits": ["It was done outside backout, and cannot be taken back.", *others],
        "checks": [],
        "verdict": {"decision": "allow", "reasons": []},
    }
    session.link.ask("adopt", new=new, body=body, document=document, seq=now.body["ledger_seq"])
    session.learn()
    return new


def _effect(found: Difference) -> Effect:
    sides = [None if isinstance(v, dict) and v.get("type") == "missing" else v for v in (found.before, found.after)]
    return found.effect._replace(before=sides[0], after=sides[1], op=operation(*sides), reversible=False)

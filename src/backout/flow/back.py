"""`backout back`: take back the newest change that stands, or down to one, checking between."""

from __future__ import annotations

from typing import Any, NamedTuple

from backout import __version__
from backout.errors import ConflictError, FailedError, NeedsPersonError, UsageError
from backout.flow.session import Session, require_finished
from backout.model.check import AFTER, BEFORE, UNHEALTHY, CheckResult, turned_red
from backout.model.verdict import Reason

DONE, NEEDS_PERSON, CONFLICT = 0, 5, 6


class Target(NamedTuple):
    """How far to go back: to just before `change` (None: the newest alone); `until_healthy` stops earlier.

    `edits` decides about paths edited since: stop, keep, discard.
    """

    change: str | None = None
    until_healthy: bool = False
    edits: str = "stop"
    why: str = ""


def back(session: Session, target: Target) -> tuple[dict[str, Any], int]:
    """Give the `backout.back/1` document and the exit code."""
    require_finished(session)
    document: dict[str, Any] = {
        "schema": "backout.back/1",
        "undone": [],
        "conflicts": [],
        "checks": [],
        "reasons": [],
        "exit_code": DONE,
    }
    results = session.live_checks(BEFORE)
    for change in _chosen(session, target):
        if target.until_healthy and not _unwell(results):
            break
        try:
            undone = _take_back(session, change, target)
        except ConflictError as error:
            found = [{"change": change["id"], **conflict} for conflict in error.conflicts]
            document.update(conflicts=found, exit_code=CONFLICT)
            break
        document["undone"].append(undone)
        before, results = results, session.live_checks(AFTER)
        red = turned_red([*before, *results])
        if red:
            _need_person(document, f"Check {red[0]!r} is unhealthy since change {change['id']} was taken back.")
            break
    document["checks"] = [result._asdict() for result in results]
    if target.until_healthy and document["exit_code"] == DONE and _unwell(results):
        unwell = next(result.name for result in results if result.result == UNHEALTHY)
        _need_person(document, f"No change is left that could be taken back, and check {unwell!r} is still unhealthy.")
    session.learn()
    return document, document["exit_code"]


def _need_person(document: dict[str, Any], what: str) -> None:
    """Say what a person has to know when going back did not help, and how to bring a change back (law 7)."""
    undone = [entry["change"] for entry in document["undone"]]
    count = "1 change was" if len(undone) == 1 else f"{len(undone)} changes were"
    state = f"{count} taken back; nothing else was changed."
    way_on = f"backout run --change {undone[-1]}" if undone else "backout log"
    document["reasons"].append(Reason(what, state, way_on)._asdict())
    document["exit_code"] = NEEDS_PERSON


def _unwell(results: list[CheckResult]) -> bool:
    return any(result.result == UNHEALTHY for result in results)


def _chosen(session: Session, target: Target) -> list[dict[str, Any]]:
    """Choose the changes to walk, newest first; those taken back already, and back-outs, do not stand."""
    changes = session.changes()
    standing = [change for change in reversed(changes) if change["stands"]]
    if target.change is None:
        if not standing:
            raise UsageError("Nothing stands that could be taken back.", next="backout log shows the record.")
        return standing if target.until_healthy else standing[:1]
    ids = [change["id"] for change in standing]
    if target.change not in ids:
        raise _does_not_stand(target.change, {change["id"]: change for change in changes})
    return standing[: ids.index(target.change) + 1]


def _does_not_stand(change: str, known: dict[str, dict[str, Any]]) -> UsageError:
    """Say why a change cannot be taken back."""
    if change not in known:
        return UsageError(f"Change {change} is not on this host's record.", next="backout log")
    undoes = known[change]["body"].get("undoes")
    if undoes:
        return UsageError(f"Change {change} is the back-out of {undoes}.", next=f"backout run --change {undoes}")
    return UsageError(f"Change {change} does not stand: taken back, refused, or let go by gc.", next="backout log")


def _take_back(session: Session, change: dict[str, Any], target: Target) -> dict[str, Any]:
    """Take one change back and keep that; gives its entry in the document."""
    new = session.new_id()
    session.tell.step(f"taking back {change['id']}")
    old = change["body"]
    body = {
        "release": __version__,
        "who": str(session.who),
        "why": target.why,
        "command": ["backout", "back", change["id"]],
        "environment": old.get("environment"),
        "checks": old.get("checks", []),
        "before": [],
    }
    try:
        told = session.link.ask("take_back", change=change["id"], new=new, body=body, edits=target.edits)
    except FailedError as error:
        _keep_without_services(session, new, error)
        raise
    if old.get("after"):
        session.link.ask("after", change=new, command=old["after"])
    session.link.ask("keep", change=new, body={})
    return {"change": change["id"], "by": new, "what": " ".join(old.get("command") or ["?"]), **told}


def _keep_without_services(session: Session, new: str, error: FailedError) -> None:
    """Keep a back-out whose files are back while a service is not: a person looks after that one."""
    states = {change["id"]: change["state"] for change in session.changes()}
    if states.get(new) == "applied":
        session.link.ask("keep", change=new, body={"failed": error.what})
        session.learn()
        raise NeedsPersonError(error.what, "The files are back; this service is not.", error.next) from error


def pause(session: Session, units: list[str]) -> str:
    """Stop what would apply the change again, as a change of its own; gives its id."""
    new = session.new_id()
    body = {
        "release": __version__,
        "who": str(session.who),
        "why": "so that it does not apply again what was taken back",
    }
    session.link.ask(
        "pause", units=units, new=new, body={**body, "command": ["backout", "pause", *units], "checks": []}
    )
    session.learn()
    return new

"""`backout back`: take back the newest change that stands, or down to one, checking between."""

from __future__ import annotations

from typing import Any, NamedTuple

from backout import __version__
from backout.errors import ConflictError, FailedError, NeedsPersonError, UsageError
from backout.flow.session import Session, require_finished
from backout.model.check import AFTER, BEFORE, UNHEALTHY, CheckResult, turned_red

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
        if turned_red([*before, *results]):
            document["exit_code"] = NEEDS_PERSON
            break
    document["checks"] = [result._asdict() for result in results]
    if target.until_healthy and document["exit_code"] == DONE and _unwell(results):
        document["exit_code"] = NEEDS_PERSON
    session.learn()
    return document, document["exit_code"]


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
        known = any(change["id"] == target.change for change in changes)
        what = (
            "does not stand; it was taken back, refused, or let go by gc" if known else "is not on this host's record"
        )
        raise UsageError(f"Change {target.change} {what}.", next="backout log shows which changes stand.")
    return standing[: ids.index(target.change) + 1]


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
    return {"change": change["id"], "by": new, "what": " ".join(old["command"]), **told}


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

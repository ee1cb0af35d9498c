"""`backout back`: take back the newest change that stands, or down to one, checking between."""

from __future__ import annotations

from typing import Any, NamedTuple

from backout import __version__
from backout.errors import ConflictError, FailedError, NeedsPersonError, UsageError
from backout.flow.session import Session, require_finished
from backout.model.check import AFTER, BEFORE, UNHEALTHY, turned_red
from backout.model.ledger import is_pause
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


class Walk:
    """Going back on one host: change after change, newest first, with checks between."""

    def __init__(self, session: Session, target: Target) -> None:
        """See what stands, and how the checks are; a NeedsPersonError when a crash left something half-way.

        `left` are the changes that are still to be taken back: none where the target does not stand.
        """
        require_finished(session)
        self.session, self._target = session, target
        self.document: dict[str, Any] = {
            "schema": "backout.back/1",
            "undone": [],
            "conflicts": [],
            "checks": [],
            "reasons": [],
            "exit_code": DONE,
        }
        self._results = session.live_checks(BEFORE)
        self.left = standing(session.changes(), target.change)

    @property
    def unwell(self) -> bool:
        """Tell whether a check is unhealthy."""
        return any(result.result == UNHEALTHY for result in self._results)

    @property
    def goes_on(self) -> bool:
        """Tell whether nothing stands in the way so far."""
        return bool(self.document["exit_code"] == DONE)

    def step(self, new: str) -> None:
        """Take the next change back, as change `new`, and check; what stands in the way goes into the document."""
        change = self.left.pop(0)
        try:
            undone = _take_back(self.session, change, new, self._target)
        except ConflictError as error:
            found = [{"change": change["id"], **conflict} for conflict in error.conflicts]
            self.document.update(conflicts=found, exit_code=CONFLICT)
            return
        self.document["undone"].append(undone)
        before, self._results = self._results, self.session.live_checks(AFTER)
        red = turned_red([*before, *self._results])
        if red:
            what = f"Check {red[0]!r} is unhealthy since change {change['id']} was taken back."
            _need_person(self.document, what)

    def end(self) -> dict[str, Any]:
        """Give the `backout.back/1` document."""
        self.document["checks"] = [result._asdict() for result in self._results]
        if self._target.until_healthy and self.goes_on and self.unwell:
            unwell = next(result.name for result in self._results if result.result == UNHEALTHY)
            what = f"No change is left that could be taken back, and check {unwell!r} is still unhealthy."
            _need_person(self.document, what)
        self.session.learn()
        return self.document


def back(session: Session, target: Target) -> tuple[dict[str, Any], int]:
    """Give the `backout.back/1` document and the exit code."""
    walk = Walk(session, target)
    if not walk.left:
        raise _nothing_to_take_back(session, target.change)
    until = 0 if target.change or target.until_healthy else len(walk.left) - 1
    while walk.goes_on and len(walk.left) > until and (walk.unwell or not target.until_healthy):
        walk.step(session.new_id())
    document = walk.end()
    return document, document["exit_code"]


def _need_person(document: dict[str, Any], what: str) -> None:
    """Say what a person has to know when going back did not help, and how to bring a change back (law 7)."""
    undone = [entry["change"] for entry in document["undone"]]
    count = "1 change was" if len(undone) == 1 else f"{len(undone)} changes were"
    state = f"{count} taken back; nothing else was changed."
    way_on = f"backout run --change {undone[-1]}" if undone else "backout log"
    document["reasons"].append(Reason(what, state, way_on)._asdict())
    document["exit_code"] = NEEDS_PERSON


def standing(changes: list[dict[str, Any]], down_to: str | None) -> list[dict[str, Any]]:
    """Give the changes that stand, newest first, down to one; those taken back, and back-outs, do not stand.

    A pause is passed over, and taken back alone where it is the one: what it stopped would apply again what is taken
    back.
    """
    found = [change for change in reversed(changes) if change["stands"]]
    named = [change for change in found if change["id"] == down_to]
    if named and is_pause(named[0]["body"]):
        return named
    found = [change for change in found if not is_pause(change["body"])]
    if down_to is None:
        return found
    ids = [change["id"] for change in found]
    return found[: ids.index(down_to) + 1] if down_to in ids else []


def _nothing_to_take_back(session: Session, change: str | None) -> UsageError:
    if change is None:
        pauses = [known["id"] for known in session.changes() if known["stands"] and is_pause(known["body"])]
        way_on = f"backout back {pauses[-1]} ends a pause." if pauses else "backout log shows the record."
        return UsageError("Nothing stands that could be taken back.", next=way_on)
    return _does_not_stand(change, {known["id"]: known for known in session.changes()})


def _does_not_stand(change: str, known: dict[str, dict[str, Any]]) -> UsageError:
    """Say why a change cannot be taken back."""
    if change not in known:
        return UsageError(f"Change {change} is not on this host's record.", next="backout log")
    undoes = known[change]["body"].get("undoes")
    if undoes:
        return UsageError(f"Change {change} is the back-out of {undoes}.", next=f"backout run --change {undoes}")
    if known[change]["body"].get("adopted"):
        return UsageError(f"Change {change} is drift that was adopted: nothing is kept that could take it back.")
    return UsageError(f"Change {change} does not stand: taken back, refused, or let go by gc.", next="backout log")


def _take_back(session: Session, change: dict[str, Any], new: str, target: Target) -> dict[str, Any]:
    """Take one change back, as change `new`, and keep that; gives its entry in the document."""
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


def pause(session: Session, units: list[str], new: str) -> None:
    """Stop what would apply the change again, as a change `new` of its own."""
    body = {
        "release": __version__,
        "who": str(session.who),
        "why": "so that it does not apply again what was taken back",
        "environment": None if session.environment is None else session.environment.name,
    }
    session.link.ask(
        "pause", units=units, new=new, body={**body, "command": ["backout", "pause", *units], "checks": []}
    )
    session.learn()

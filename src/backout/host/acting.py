"""What changes the host or the record: rehearsals, and all that becomes of them.

Apart from `serve`, which answers what only asks: over ssh most contacts do no more than that, and import no more.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from backout.errors import NeedsPersonError, RefusedError, UsageError
from backout.host import adoption
from backout.host.archive import Archive
from backout.host.claim import claimed, require_new, settled
from backout.host.execute import Conflict
from backout.host.gc import collect
from backout.host.ledger import make_state
from backout.host.mend import mend
from backout.host.plan import Plan
from backout.host.services import carry_out, states
from backout.host.takeback import Wish, redo_order, take_back
from backout.host.transact import Order, Transactions, stop_at_conflicts
from backout.host.trouble import UNTOUCHED, told
from backout.model.check import AFTER, BEFORE, Check, CheckResult, check_from, turned_red
from backout.model.ledger import APPLIED, REFUSED, Change, unfinished
from backout.model.step import Service

if TYPE_CHECKING:
    from backout.host.recorded import Recorded
    from backout.host.rehearse import Rehearsed
    from backout.host.serve import Host

_LAST_WORDS = 500


class Acting:
    """Keeps each rehearsal until it is applied, refused or let go."""

    def __init__(self, host: Host) -> None:
        """Act on the host that is answered for."""
        self._host, self.state, self._ledger, self._answers = host, host.state, host.ledger, host.answers
        self._transactions = Transactions(self._ledger, self._service)
        self._rehearsed: dict[str, Rehearsed] = {}
        self._recorded: dict[str, Recorded] = {}

    def rehearse(self, **asked: Any) -> dict[str, Any]:
        """Rehearse a command; gives {document, moved, obstacles, steps, said}: how many an apply takes, the last line.

        Without a working folder or environment it has ours, which is what the login gave us. The document's
        effects go ahead, as events.
        """
        from backout.host.rehearse import Request, rehearse

        make_state(self.state)
        asked = {"cwd": os.getcwd(), "environ": dict(os.environ), **asked}
        checks = tuple(check_from(check) for check in asked.pop("checks", ()))
        request = Request(**{**asked, "checks": checks, "network_allow": tuple(asked.get("network_allow", ()))})
        with claimed(self._ledger, request.change):
            rehearsed = rehearse(request, self.state, self._answers.output, self._answers.progress)
        return self._held(request.change, rehearsed)

    def _held(self, change: str, rehearsed: Rehearsed) -> dict[str, Any]:
        """Keep what was rehearsed, and say what it came to."""
        self._rehearsed[change] = rehearsed
        moved = {os.fsdecode(path): what for path, what in rehearsed.moved.items()}
        self._answers.rows("effects", (effect.document() for effect in rehearsed.effects))
        steps = len(rehearsed.plan.steps) + len(rehearsed.plan.appends)
        lines = rehearsed.output.decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")[:_LAST_WORDS]
        told = {"moved": moved, "obstacles": rehearsed.obstacles, "steps": steps, "said": said}
        return {"document": rehearsed.document, **told}

    def atoms(self, change: str) -> dict[str, Any]:
        """Cut a recorded change into atoms; gives {atoms: [{kind, subject, before, after, effects, paths}], limits}.

        `effects` are places in the change's document, `paths` is how many paths an atom has; noise is the last.
        """
        recorded = self._read(change)
        return {"atoms": [atom.document() for atom in recorded.atoms], "limits": recorded.limits()}

    def trial(self, change: str, chosen: list[int], checks: list[dict[str, Any]]) -> dict[str, Any]:
        """Run checks in a view with only some atoms of a recorded change, by their places; gives {results, limits}."""
        from backout.host.trial import trial

        return trial(self._ledger, self._read(change), chosen, [check_from(check) for check in checks])

    def whole(self, change: str, checks: list[dict[str, Any]], *, there: bool) -> dict[str, Any]:
        """Run checks in a view with all of a recorded change, or none of it; gives {results, limits, moved}."""
        from backout.host.trial import whole

        return whole(self._ledger, self._read(change), [check_from(check) for check in checks], there=there)

    def compose(self, change: str, chosen: list[int], new: str, checks: list[dict[str, Any]]) -> dict[str, Any]:
        """Make a rehearsal of its own of only some atoms of a recorded change; gives what `rehearse` does."""
        from backout.host.rehearse import Request
        from backout.host.trial import compose

        recorded = self._read(change)
        command, cwd = recorded.document["command"], recorded.document["cwd"]
        request = Request(new, command, cwd, dict(os.environ), checks=tuple(check_from(check) for check in checks))
        with claimed(self._ledger, new):
            rehearsed = compose(self.state, recorded, chosen, request, self._answers.progress)
        return self._held(new, rehearsed)

    def _read(self, change: str) -> Recorded:
        """Read a recorded change, once."""
        from backout.host.recorded import Recorded

        if change not in self._recorded:
            self._recorded[change] = Recorded(self._ledger, self._host.measured(change))
        return self._recorded[change]

    def texts(self, change: str, paths: list[str]) -> dict[str, str | None]:
        """Give text files as a change leaves them, rehearsed or recorded (host.texts); null where there is none."""
        from backout.host.texts import texts

        rehearsed = self._rehearsed.get(change)
        if rehearsed is not None:
            return texts(rehearsed.plan, paths)
        known = self._host.change(change)
        return texts(Archive(self.state, change).plan(known.body.get("plan")), paths)

    def let_go(self, change: str) -> None:
        """Drop what a rehearsal left in the stages."""
        rehearsed = self._rehearsed.pop(change, None)
        if rehearsed is not None:
            rehearsed.let_go()

    def end(self) -> None:
        """Drop what nobody can ask for any more; what the ledger knows of is needed, and stays."""
        with contextlib.suppress(NeedsPersonError):  # a ledger that cannot be read: gc looks after the rest
            known = {change.id for change in self._transactions.changes()} if self._rehearsed else set()
            for change in self._rehearsed.keys() - known:
                self.let_go(change)

    def refuse(self, change: str, body: dict[str, Any], document: dict[str, Any]) -> None:
        """Record a refused change; its bits stay, so that it can be looked at and run after all."""
        rehearsed = self._measurement(change)
        self._rehearsed.pop(change)
        self._host.locked(lambda: self._record_refused(change, rehearsed, body, _whole(document, rehearsed)))

    def _record_refused(
        self, change: str, rehearsed: Rehearsed, body: dict[str, Any], document: dict[str, Any]
    ) -> None:
        require_new(self._ledger, change)
        Archive(self.state, change).keep_output(rehearsed.output)
        plan_hash = Archive(self.state, change).keep(rehearsed.plan, rehearsed.scanned.raw.values(), document)
        moved = {os.fsdecode(path): what for path, what in rehearsed.moved.items()}
        self._ledger.append(change, REFUSED, {**body, "plan": plan_hash, **({"moved": moved} if moved else {})})
        settled(self._ledger, change)

    def apply(self, change: str, body: dict[str, Any], document: dict[str, Any]) -> int:
        """Apply exactly what was rehearsed; gives how many caches the host keeps its own, newer version of."""
        rehearsed = self._measurement(change)
        stop_at_conflicts([Conflict(path, what) for path, what in rehearsed.moved.items()])
        order = Order(change, rehearsed.plan, tuple(rehearsed.scanned.raw.values()), rehearsed.base_ns, rehearsed.locks)
        whole = _whole(document, rehearsed)
        left: int = self._host.locked(lambda: self._apply(order, rehearsed.output, body, whole), until_settled=True)
        self._rehearsed.pop(change)
        return left

    def _apply(self, order: Order, output: bytes, body: dict[str, Any], document: dict[str, Any]) -> int:
        require_new(self._ledger, order.change)
        with told("The change could not be applied", UNTOUCHED):  # before the apply: what fails after it is half-way
            Archive(self.state, order.change).keep_output(output)
        left = self._transactions.apply(order, body, document)
        settled(self._ledger, order.change)
        return left

    def keep(self, change: str, body: dict[str, Any]) -> None:
        """Say that an applied change stays."""
        self._host.locked(lambda: self._transactions.keep(self._undecided(change).id, body))

    def back_out(self, change: str, body: dict[str, Any] | None = None) -> None:
        """Take back a change that was applied and is not kept; the body says why."""
        self._host.locked(lambda: self._transactions.back_out(self._undecided(change), body))

    def take_back(self, change: str, new: str, body: dict[str, Any], edits: str = "stop") -> dict[str, Any]:
        """Take back a change that stands, as a change of its own; `edits` is stop, keep or discard."""
        wish = Wish(self._host.change(change), new, body, edits)
        told: dict[str, Any] = self._host.locked(
            lambda: take_back(self._transactions, self._ledger, wish), until_settled=True
        )
        return told

    def redo(self, change: str, new: str, body: dict[str, Any]) -> int:
        """Apply a recorded change once more, as a change of its own; gives what `apply` does."""
        order, document = redo_order(self._ledger, self._host.change(change), new)
        body = {**body, "redoes": change}
        left: int = self._host.locked(lambda: self._transactions.apply(order, body, document), until_settled=True)
        return left

    def after(self, change: str, command: str) -> int:
        """Run the command that cannot be rehearsed, live; gives its exit code. Its output follows when it has ended."""
        from backout.host.live import ended

        self._answers.progress(f"after {change}: {command}")
        with ended(command) as (code, said):
            said.seek(0)
            self._answers.output("stdout", said.read())
        return code

    def recover(self) -> list[dict[str, Any]]:
        """Bring every unfinished change to all-old or all-new."""

        def recovering() -> list[dict[str, Any]]:
            return [
                {"change": change.id, "state": state} for change, state in self._transactions.recover(self._healthy)
            ]

        return self._host.locked(recovering) if unfinished(self._transactions.changes()) else []

    def _healthy(self, change: Change) -> bool:
        from backout.host import checks as checking

        checks: list[Check] = [check_from(check) for check in change.body.get("checks", ())]
        before = [CheckResult(r["name"], BEFORE, r["result"]) for r in change.body.get("before", ())]
        after = checking.run_checks(checks, AFTER, dict(os.environ))
        return not turned_red([*before, *after])

    def mend(self, copies: list[dict[str, Any]]) -> int:
        """Put a damaged or lost ledger together again, with a journal's copies; gives how many of these it took."""
        mended: int = self._host.locked(lambda: mend(self._ledger, copies))
        return mended

    def gc(self, *, older_than_s: float, standing: bool, dry_run: bool) -> dict[str, Any]:
        """Let go of what nobody can need any more; with `standing`, of what could still be taken back, too."""
        collected: dict[str, Any] = self._host.locked(
            lambda: collect(self._ledger, older_than_s, standing=standing, dry_run=dry_run)
        )
        return collected

    def pause(self, units: list[str], new: str, body: dict[str, Any]) -> None:
        """Stop units, as a change of its own that can be taken back like any other."""
        known = states(units)
        steps = tuple(
            Service(unit, ("stop",), known[unit]._asdict(), {**known[unit]._asdict(), "active": False})
            for unit in units
        )
        order = Order(new, Plan(steps=steps), (), 0)
        self._host.locked(lambda: self._transactions.apply(order, body), until_settled=True)
        self.keep(new, {})

    def adopt(self, new: str, body: dict[str, Any], document: dict[str, Any], seq: int) -> None:
        """Record drift as a change of its own (adoption.adopt)."""
        make_state(self.state)
        found = adoption.Found(new, body, document, seq)
        self._host.locked(lambda: adoption.adopt(self._transactions, self._ledger, found))

    def _measurement(self, change: str) -> Rehearsed:
        """Find what was rehearsed and is not let go yet."""
        if change not in self._rehearsed:
            raise UsageError(f"Nothing was rehearsed as change {change}.", next="Rehearse it.")
        return self._rehearsed[change]

    def _undecided(self, change: str) -> Change:
        """Find a change that is applied and not decided about yet: nobody decides twice."""
        known = self._host.change(change)
        if known.state != APPLIED:
            raise RefusedError(f"Change {change} is {known.state} already.", next=f"backout show {change}")
        return known

    def _service(self, step: Any) -> str:
        self._answers.progress(f"{', '.join(step.requests)} {step.unit}")
        return carry_out(step)


def _whole(document: dict[str, Any], rehearsed: Rehearsed) -> dict[str, Any]:
    """Put the effects into a document that was judged; it brings along which of them were expected."""
    rest = {name: value for name, value in document.items() if name != "expected"}
    if len(document["expected"]) != len(rehearsed.effects):
        raise UsageError("What was judged is not what was rehearsed.")
    marked = zip(rehearsed.effects, document["expected"])
    return {**rest, "effects": (effect._replace(expected=expected).document() for effect, expected in marked)}

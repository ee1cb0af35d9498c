"""The host half: answers requests on standard input, one JSON document a line, and streams events while it works.

Request: {"op": NAME, ...arguments}. Answers: any number of {"event": …} lines, then {"reply": …} or {"error":
backout.error/1}. The first line it writes is the sentinel, so that whatever a login shell prints before is told apart.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Callable

from backout import __version__
from backout.errors import (
    BackoutError,
    FailedError,
    InterruptedError,
    NeedsPersonError,
    RefusedError,
    UsageError,
)
from backout.host import adoption, lend, libc
from backout.host.archive import Archive
from backout.host.claim import claimed, require_new, settled
from backout.host.execute import Conflict
from backout.host.gc import collect
from backout.host.ledger import Ledger, make_state
from backout.host.mend import is_lost, lost, mend
from backout.host.plan import Plan
from backout.host.requests import parse
from backout.host.services import carry_out, enforcers, states
from backout.host.stage import identity, state_folder
from backout.host.takeback import Wish, redo_order, take_back
from backout.host.transact import Order, Transactions, stop_at_conflicts
from backout.host.trouble import UNTOUCHED, told
from backout.model.check import AFTER, BEFORE, Check, CheckResult, check_from, turned_red
from backout.model.ledger import APPLIED, REFUSED, Change, fold, unfinished
from backout.model.step import Service

if TYPE_CHECKING:  # half of all the code: over ssh it is compiled anew at each contact, and most only ask
    from backout.host.rehearse import Rehearsed

SENTINEL = "backout.wire/1"
_PR_SET_PDEATHSIG = 1
_LAST_WORDS = 500
_ROWS_A_MESSAGE = 500


class Host:
    """Answers the wire's operations; keeps the last rehearsal until it is applied, refused or let go."""

    def __init__(self, say: Callable[[dict[str, Any]], None], state: bytes | None = None) -> None:
        """Answer for the state folder given, or for this user's own."""
        self._say = say
        self.state = state or state_folder(os.environ, os.geteuid())
        self._ledger = Ledger(self.state)
        self._transactions = Transactions(self._ledger, self._service)
        self._rehearsed: dict[str, Rehearsed] = {}
        self._lent: list[str] = []

    def hello(self) -> dict[str, Any]:
        """Tell who answers, and what time it is there (seconds since the epoch).

        `identity` is the same for two names of one machine: that of the boot, and of where the state folder lies. Those
        who share these share the ledger.
        """
        return {
            "release": __version__,
            "host": os.uname().nodename,
            "uid": os.geteuid(),
            "state": os.fsdecode(self.state),
            "identity": identity(self.state),
            "time_s": time.time(),
        }

    def look(self, watch: list[str], services: list[str], kinds: list[str] | None = None) -> dict[str, Any]:
        """Tell what holds here: {at, took_s, counts, files, limits, identity, ledger_seq, newest_change}.

        The facts go ahead, as events, in their order. Of some kinds alone where these are named. `identity` is that of
        `hello`, told once more since the state folder may have been made meanwhile.
        """
        from backout.host.facts.look import facts, reply
        from backout.host.facts.looking import Looking

        begun, counts = time.monotonic(), dict[str, int]()
        looking = Looking(self.state, watch, services)
        self._tell("facts", (list(fact) for fact in facts(looking, kinds, counts)))
        entries = self._ledger.entries()
        newest = entries[-1].change if entries else None
        known = {"identity": identity(self.state), "ledger_seq": len(entries), "newest_change": newest}
        return {**reply(looking, time.monotonic() - begun, counts), **known}

    def doctor(self) -> list[dict[str, Any]]:
        """Tell what this host can do, and how to mend what it cannot."""
        from backout.host.probe import probe

        return [dict(zip(("name", "ok", "what", "remedy"), row)) for row in probe(self.state)]

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
            rehearsed = rehearse(request, self.state, self._output, self._progress)
        self._rehearsed[request.change] = rehearsed
        moved = {os.fsdecode(path): what for path, what in rehearsed.moved.items()}
        self._tell("effects", (effect.document() for effect in rehearsed.effects))
        steps = len(rehearsed.plan.steps) + len(rehearsed.plan.appends)
        lines = rehearsed.output.decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")[:_LAST_WORDS]
        told = {"moved": moved, "obstacles": rehearsed.obstacles, "steps": steps, "said": said}
        return {"document": rehearsed.document, **told}

    def let_go(self, change: str) -> None:
        """Drop what a rehearsal left in the stages."""
        rehearsed = self._rehearsed.pop(change, None)
        if rehearsed is not None:
            rehearsed.let_go()

    def end(self) -> None:
        """Drop what nobody can ask for any more; what the ledger knows of is needed, and stays."""
        for folder in self._lent:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(NeedsPersonError):  # a ledger that cannot be read: gc looks after the rest
            known = {change.id for change in self._transactions.changes()} if self._rehearsed else set()
            for change in self._rehearsed.keys() - known:
                self.let_go(change)

    def _tell(self, what: str, rows: Iterable[Any]) -> None:
        """Send effects or facts ahead of what they belong to: a message of 100,000 would take all at once."""
        left = iter(rows)
        for part in iter(lambda: list(itertools.islice(left, _ROWS_A_MESSAGE)), []):
            self._say({"event": what, what: part})

    def refuse(self, change: str, body: dict[str, Any], document: dict[str, Any]) -> None:
        """Record a refused change; its bits stay, so that it can be looked at and run after all."""
        rehearsed = self._measurement(change)
        self._rehearsed.pop(change)
        self._locked(lambda: self._record_refused(change, rehearsed, body, _whole(document, rehearsed)))

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
        left: int = self._locked(lambda: self._apply(order, rehearsed.output, body, whole), until_settled=True)
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
        self._locked(lambda: self._transactions.keep(self._undecided(change).id, body))

    def back_out(self, change: str) -> None:
        """Take back a change that was applied and is not kept."""
        self._locked(lambda: self._transactions.back_out(self._undecided(change)))

    def take_back(self, change: str, new: str, body: dict[str, Any], edits: str = "stop") -> dict[str, Any]:
        """Take back a change that stands, as a change of its own; `edits` is stop, keep or discard."""
        wish = Wish(self._change(change), new, body, edits)
        told: dict[str, Any] = self._locked(
            lambda: take_back(self._transactions, self._ledger, wish), until_settled=True
        )
        return told

    def redo(self, change: str, new: str, body: dict[str, Any]) -> int:
        """Apply a recorded change once more, as a change of its own; gives what `apply` does."""
        order, document = redo_order(self._ledger, self._change(change), new)
        body = {**body, "redoes": change}
        left: int = self._locked(lambda: self._transactions.apply(order, body, document), until_settled=True)
        return left

    def check(self, checks: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
        """Run checks live."""
        from backout.host import checks as checking

        return [r._asdict() for r in checking.run_checks([check_from(c) for c in checks], where, dict(os.environ))]

    def after(self, change: str, command: str) -> int:
        """Run the command that cannot be rehearsed, live; gives its exit code. Its output follows when it has ended."""
        import subprocess
        import tempfile

        self._progress(f"after {change}: {command}")
        with tempfile.TemporaryFile() as said:  # not a pipe: what it leaves running may hold that open for ever
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait()
            except BaseException:  # interrupted: it does not go on alone
                os.killpg(process.pid, signal.SIGKILL)
                raise
            said.seek(0)
            self._output("stdout", said.read())
        return code

    def recover(self) -> list[dict[str, Any]]:
        """Bring every unfinished change to all-old or all-new."""

        def recovering() -> list[dict[str, Any]]:
            return [
                {"change": change.id, "state": state} for change, state in self._transactions.recover(self._healthy)
            ]

        return self._locked(recovering) if unfinished(self._transactions.changes()) else []

    def _healthy(self, change: Change) -> bool:
        from backout.host import checks as checking

        checks: list[Check] = [check_from(check) for check in change.body.get("checks", ())]
        before = [CheckResult(r["name"], BEFORE, r["result"]) for r in change.body.get("before", ())]
        after = checking.run_checks(checks, AFTER, dict(os.environ))
        return not turned_red([*before, *after])

    def is_whole(self) -> bool:
        """Tell whether the ledger is there, and whole."""
        try:
            self._ledger.entries()
        except NeedsPersonError:
            return False
        return not is_lost(self._ledger)

    def mend(self, copies: list[dict[str, Any]]) -> int:
        """Put a damaged or lost ledger together again, with a journal's copies; gives how many of these it took."""
        mended: int = self._locked(lambda: mend(self._ledger, copies))
        return mended

    def unfinished(self, *, wait: bool) -> list[str]:
        """Name the changes that a crash left half-way; with `wait`, when another backout that is at work has ended.

        Without it, none are named while one is.
        """

        def found() -> list[str]:
            return [change.id for change in unfinished(self._transactions.changes())]

        if not found() or (not wait and self._ledger.is_held()):
            return []
        named: list[str] = self._locked(found)
        return named

    def changes(self) -> list[dict[str, Any]]:
        """Tell where every change stands, oldest first."""
        return [{**change._asdict(), "stands": change.stands} for change in fold(self._ledger.entries())]

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """Give the ledger's entries after a sequence number."""
        if is_lost(self._ledger):
            raise lost(self._ledger)
        return [entry._asdict() for entry in self._ledger.entries() if entry.seq > after]

    def show(self, change: str) -> dict[str, Any]:
        """Give {document}: a recorded change's effects document; its effects go ahead, as events."""
        document = Archive(self.state, self._measured(change).id).document()
        self._tell("effects", document.pop("effects"))
        return {"document": document}

    def output(self, change: str) -> str:
        """Give what a recorded change's command wrote, the end of it where it was very much; in base64."""
        return base64.b64encode(Archive(self.state, self._change(change).id).output()).decode()

    def gc(self, *, older_than_s: float, standing: bool, dry_run: bool) -> dict[str, Any]:
        """Let go of what nobody can need any more; with `standing`, of what could still be taken back, too."""
        collected: dict[str, Any] = self._locked(
            lambda: collect(self._ledger, older_than_s, standing=standing, dry_run=dry_run)
        )
        return collected

    def give_out(self, path: str) -> dict[str, Any]:
        """Give a file to be edited elsewhere, as `host.lend.give_out` does."""
        return lend.give_out(path)

    def lay(self, original: str | None, copy: str) -> list[str]:
        """Lay what a file was and what it is to be where a command reads it, until the end; gives their paths."""
        self._lent.append(lend.new_folder())
        return [lend.lay(self._lent[-1], "original", original), lend.lay(self._lent[-1], "copy", copy)]

    def enforcers(self) -> list[dict[str, Any]]:
        """Name what would put a change back that was taken back."""
        return [enforcer._asdict() for enforcer in enforcers()]

    def pause(self, units: list[str], new: str, body: dict[str, Any]) -> None:
        """Stop units, as a change of its own that can be taken back like any other."""
        known = states(units)
        steps = tuple(
            Service(unit, ("stop",), known[unit]._asdict(), {**known[unit]._asdict(), "active": False})
            for unit in units
        )
        self._locked(lambda: self._transactions.apply(Order(new, Plan(steps=steps), (), 0), body), until_settled=True)
        self.keep(new, {})

    def left(self, changes: list[str], paths: list[str]) -> dict[str, Any]:
        """Tell how changes, oldest first, left paths (adoption.left)."""
        return adoption.left(self.state, changes, paths)

    def attribute(self, wanted: list[dict[str, str]], since_s: float) -> list[dict[str, Any]]:
        """Tell what this host's logs say of who changed something: {what, evidence} for each {kind, subject}."""
        from backout.host.attribution import attribute

        return attribute(wanted, since_s)

    def adopt(self, new: str, body: dict[str, Any], document: dict[str, Any], seq: int) -> None:
        """Record drift as a change of its own (adoption.adopt)."""
        make_state(self.state)
        found = adoption.Found(new, body, document, seq)
        self._locked(lambda: adoption.adopt(self._transactions, self._ledger, found))

    def _measurement(self, change: str) -> Rehearsed:
        """Find what was rehearsed and is not let go yet."""
        if change not in self._rehearsed:
            raise UsageError(f"Nothing was rehearsed as change {change}.", next="Rehearse it.")
        return self._rehearsed[change]

    def _measured(self, change: str) -> Change:
        """Find a change that has effects of its own: a back-out has those of the one that it took back."""
        known = self._change(change)
        if known.undoes:
            raise UsageError(
                f"Change {change} is the back-out of {known.undoes}.", next=f"backout run --change {known.undoes}"
            )
        return known

    def _change(self, change: str) -> Change:
        for known in self._transactions.changes():
            if known.id == change:
                return known
        raise UsageError(f"There is no change {change} on this host.", next="backout log lists them.")

    def _undecided(self, change: str) -> Change:
        """Find a change that is applied and not decided about yet: nobody decides twice."""
        known = self._change(change)
        if known.state != APPLIED:
            raise RefusedError(f"Change {change} is {known.state} already.", next=f"backout show {change}")
        return known

    def _locked(self, act: Callable[[], Any], *, until_settled: bool = False) -> Any:
        """Hold the host's lock; Ctrl-C waits until the host is all-old or all-new.

        With `until_settled` it is held on when that went well, until the change is kept or backed out: whoever gets the
        lock finds no change half-way but those of a crash.
        """
        self._ledger.lock(iter(lambda: self._progress("waiting for another backout to end"), 0))
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        holds_on = False
        try:
            result = act()
            holds_on = until_settled
        finally:
            signal.signal(signal.SIGINT, before)
            if not holds_on:
                self._ledger.unlock()
        return result

    def _service(self, step: Any) -> str:
        self._progress(f"{', '.join(step.requests)} {step.unit}")
        return carry_out(step)

    def _output(self, stream: str, data: bytes) -> None:
        self._say({"event": "output", "stream": stream, "data": base64.b64encode(data).decode()})

    def _progress(self, text: str) -> None:
        self._say({"event": "progress", "text": text})


def _whole(document: dict[str, Any], rehearsed: Rehearsed) -> dict[str, Any]:
    """Put the effects into a document that was judged; it brings along which of them were expected."""
    rest = {name: value for name, value in document.items() if name != "expected"}
    if len(document["expected"]) != len(rehearsed.effects):
        raise UsageError("What was judged is not what was rehearsed.")
    marked = zip(rehearsed.effects, document["expected"])
    return {**rest, "effects": (effect._replace(expected=expected).document() for effect, expected in marked)}


CHANGING = ("apply", "keep", "back_out", "take_back", "redo", "after", "recover", "mend", "gc", "pause", "adopt")
"""The operations that change the host or the record."""


def answer(host: Host, line: bytes) -> dict[str, Any]:
    """Answer one request; an error becomes its document, an interrupt leaves the host as it was."""
    operation = ""
    try:
        operation, arguments = parse(line)
        return {"reply": getattr(host, operation)(**arguments)}
    except BackoutError as error:
        return {"error": error.document(), "conflicts": list(getattr(error, "conflicts", ()))}
    except KeyboardInterrupt:
        return {"error": InterruptedError("Interrupted.", state="This host is as it was before.").document()}
    except OSError as error:
        return {"error": _failed(error, operation, host.state).document()}


def _failed(error: OSError, operation: str, state: bytes) -> FailedError:
    """Say what the kernel refused, and what that means for the host: most operations change nothing of it."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else "the host"
    what, way_on = f"{error.strerror or error} at {name}.", "backout doctor"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = f"There is no space left where backout keeps its state: {os.fsdecode(state)}."
        way_on = f"Free some (backout gc may help), then try again: df -h {os.fsdecode(state)}"
    if operation not in CHANGING:
        return FailedError(what, next=way_on)
    return FailedError(what, state="See backout log for where the change stands.", next="backout recover")


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end. Ctrl-C stops what is asked for, and never the waiting for it."""

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    host = Host(say)
    try:
        say({"sentinel": SENTINEL})
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for line in iter(requests.readline, b""):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            message = answer(host, line)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            say(message)
    except (BrokenPipeError, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    host.end()


def main(*, signals_when_gone: int | None = None) -> None:
    """Serve on standard input and output; anything that a library prints goes to standard error.

    When whoever asks is killed, what is rehearsed ends, too; an apply is finished, and recovered by the next command.
    `signals_when_gone` is the signal that says that nobody hears the answers any more.
    """
    sys.dont_write_bytecode = True  # what is imported later may be imported inside a view
    libc.call("prctl", _PR_SET_PDEATHSIG, signal.SIGINT)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if signals_when_gone is not None:
        signal.signal(signals_when_gone, lambda *_: _speak_to_nobody(answers.fileno()))
    serve(open(0, "rb", closefd=False), answers)  # noqa: SIM115 - for the life of the process


def _speak_to_nobody(answers: int) -> None:
    """Let what is being written go nowhere, where it would wait for ever, and stop as Ctrl-C does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), answers)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        raise KeyboardInterrupt

"""The host half: answers requests on standard input, one JSON document a line, and streams events while it works.

Request: {"op": NAME, ...arguments}. Answers: any number of {"event": …} lines, then {"reply": …} or {"error":
backout.error/1}. The first line it writes is the sentinel, so that whatever a login shell prints before is told apart.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Callable

from backout import __version__
from backout.errors import (
    BackoutError,
    FailedError,
    InterruptedError,
    NeedsPersonError,
    UsageError,
)
from backout.host import libc
from backout.host.ledger import Ledger, is_lost, lost
from backout.host.requests import parse
from backout.host.stage import identity, state_folder

if TYPE_CHECKING:
    from backout.host.acting import Acting
    from backout.model.ledger import Change

SENTINEL = "backout.wire/1"
_PR_SET_PDEATHSIG = 1
_ROWS_A_MESSAGE = 500


class Answers:
    """What is said on the way to an answer."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say

    def rows(self, what: str, rows: Iterable[Any]) -> None:
        """Send effects or facts ahead of what they belong to: a message of 100,000 would take all at once."""
        left = iter(rows)
        for part in iter(lambda: list(itertools.islice(left, _ROWS_A_MESSAGE)), []):
            self._say({"event": what, what: part})

    def output(self, stream: str, data: bytes) -> None:
        """Pass on what a command wrote."""
        self._say({"event": "output", "stream": stream, "data": _base64(data)})

    def progress(self, text: str) -> None:
        """Say what begins now."""
        self._say({"event": "progress", "text": text})


class Host:
    """Answers the wire's operations: those that only ask by itself, those that change something by `acting`."""

    def __init__(self, say: Callable[[dict[str, Any]], None], state: bytes | None = None) -> None:
        """Answer for the state folder given, or for this user's own."""
        self.answers = Answers(say)
        self.state = state or state_folder(os.environ, os.geteuid())
        self.ledger = Ledger(self.state)
        self._lent: list[str] = []

    @cached_property
    def acting(self) -> Acting:
        """What changes the host or the record; made when it is asked for."""
        from backout.host.acting import Acting

        return Acting(self)

    def end(self) -> None:
        """Drop what nobody can ask for any more."""
        if self._lent:
            import shutil

            for folder in self._lent:
                shutil.rmtree(folder, ignore_errors=True)
        if "acting" in vars(self):
            self.acting.end()

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
        self.answers.rows("facts", (list(fact) for fact in facts(looking, kinds, counts)))
        entries = self.ledger.entries()
        newest = entries[-1].change if entries else None
        known = {"identity": identity(self.state), "ledger_seq": len(entries), "newest_change": newest}
        return {**reply(looking, time.monotonic() - begun, counts), **known}

    def doctor(self) -> list[dict[str, Any]]:
        """Tell what this host can do, and how to mend what it cannot."""
        from backout.host.probe import probe

        return [dict(zip(("name", "ok", "what", "remedy"), row)) for row in probe(self.state)]

    def check(self, checks: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
        """Run checks live."""
        from backout.host import checks as checking
        from backout.model.check import check_from

        return [r._asdict() for r in checking.run_checks([check_from(c) for c in checks], where, dict(os.environ))]

    def is_whole(self) -> bool:
        """Tell whether the ledger is there, and whole."""
        try:
            self.ledger.entries()
        except NeedsPersonError:
            return False
        return not is_lost(self.ledger)

    def unfinished(self, *, wait: bool) -> list[str]:
        """Name the changes that a crash left half-way; with `wait`, when another backout that is at work has ended.

        Without it, none are named while one is.
        """
        from backout.model.ledger import fold, unfinished

        def found() -> list[str]:
            return [change.id for change in unfinished(fold(self.ledger.entries()))]

        if not found() or (not wait and self.ledger.is_held()):
            return []
        named: list[str] = self.locked(found)
        return named

    def changes(self) -> list[dict[str, Any]]:
        """Tell where every change stands, oldest first."""
        from backout.model.ledger import fold

        return [{**change._asdict(), "stands": change.stands} for change in fold(self.ledger.entries())]

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """Give the ledger's entries after a sequence number."""
        if is_lost(self.ledger):
            raise lost(self.ledger)
        return [entry._asdict() for entry in self.ledger.entries() if entry.seq > after]

    def show(self, change: str) -> dict[str, Any]:
        """Give {document}: a recorded change's effects document; its effects go ahead, as events."""
        from backout.host.archive import Archive

        document = Archive(self.state, self.measured(change).id).document()
        self.answers.rows("effects", document.pop("effects"))
        return {"document": document}

    def output(self, change: str) -> str:
        """Give what a recorded change's command wrote, the end of it where it was very much; in base64."""
        from backout.host.archive import Archive

        return _base64(Archive(self.state, self.change(change).id).output())

    def give_out(self, path: str) -> dict[str, Any]:
        """Give a file to be edited elsewhere, as `host.lend.give_out` does."""
        from backout.host import lend

        return lend.give_out(path)

    def lay(self, original: str | None, copy: str) -> list[str]:
        """Lay what a file was and what it is to be where a command reads it, until the end; gives their paths."""
        from backout.host import lend

        self._lent.append(lend.new_folder())
        return [lend.lay(self._lent[-1], "original", original), lend.lay(self._lent[-1], "copy", copy)]

    def enforcers(self) -> list[dict[str, Any]]:
        """Name what would put a change back that was taken back."""
        from backout.host.services import enforcers

        return [enforcer._asdict() for enforcer in enforcers()]

    def save_state(self, incident: str, watch: list[str], services: list[str], within_s: float) -> dict[str, Any]:
        """Save what this host is like as an incident begins (saved.save)."""
        from backout.host import saved
        from backout.host.ledger import make_state

        make_state(self.state)
        return saved.save(self.state, incident, watch, services, within_s)

    def back_up(self, command: str, within_s: float) -> dict[str, Any]:
        """Run a backup (live.run)."""
        from backout.host import live

        return live.run(command, within_s)

    def left(self, changes: list[str], paths: list[str]) -> dict[str, Any]:
        """Tell how changes, oldest first, left paths (adoption.left)."""
        from backout.host import adoption

        return adoption.left(self.state, changes, paths)

    def attribute(self, wanted: list[dict[str, str]], since_s: float) -> list[dict[str, Any]]:
        """Tell what this host's logs say of who changed something: {what, evidence} for each {kind, subject}."""
        from backout.host.attribution import attribute

        return attribute(wanted, since_s)

    def measured(self, change: str) -> Change:
        """Find a change that has effects of its own: a back-out has those of the one that it took back."""
        known = self.change(change)
        if known.undoes:
            raise UsageError(
                f"Change {change} is the back-out of {known.undoes}.", next=f"backout run --change {known.undoes}"
            )
        return known

    def change(self, change: str) -> Change:
        """Find a change; a UsageError when there is none."""
        from backout.model.ledger import fold

        for known in fold(self.ledger.entries()):
            if known.id == change:
                return known
        raise UsageError(f"There is no change {change} on this host.", next="backout log lists them.")

    def locked(self, act: Callable[[], Any], *, until_settled: bool = False) -> Any:
        """Hold the host's lock; Ctrl-C waits until the host is all-old or all-new.

        With `until_settled` it is held on when that went well, until the change is kept or backed out: whoever gets the
        lock finds no change half-way but those of a crash.
        """
        self.ledger.lock(iter(lambda: self.answers.progress("waiting for another backout to end"), 0))
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        holds_on = False
        try:
            result = act()
            holds_on = until_settled
        finally:
            signal.signal(signal.SIGINT, before)
            if not holds_on:
                self.ledger.unlock()
        return result


def _base64(data: bytes) -> str:
    from binascii import b2a_base64  # base64 imports what else it can

    return b2a_base64(data, newline=False).decode()


CHANGING = ("apply", "keep", "back_out", "take_back", "redo", "after", "recover", "mend", "gc", "pause", "adopt")
"""The operations that change the host or the record."""


def answer(host: Host, line: bytes) -> dict[str, Any]:
    """Answer one request; an error becomes its document, an interrupt leaves the host as it was."""
    operation = ""
    try:
        operation, arguments = parse(line)
        answers = host if hasattr(host, operation) else host.acting
        return {"reply": getattr(answers, operation)(**arguments)}
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

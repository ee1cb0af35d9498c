"""One connection to a host half: requests out, events and one answer back."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol, Self

from backout.errors import BackoutError, ConflictError, FailedError, InterruptedError, NotPossibleError, from_document
from backout.model import shape
from backout.model.fact import Fact, from_rows, is_row

SENTINEL = "backout.wire/1"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a service manager that stops us, a closed terminal: each ends what is done and leaves the host as before."""
_INTERRUPTIBLE = ("rehearse", "check", "after", "apply", "redo", "take_back", "trial", "compose")
"""What Ctrl-C means to stop; the rest takes moments and is bookkeeping, which is finished."""
_AS_LONG_AS_IT_TAKES = ("rehearse", "check", "after", "look", "trial", "compose", "back_up")
"""What has limits of its own: --timeout, `within`; or none, since it is as long as the operator's command."""
_READING = (
    "hello",
    "changes",
    "entries",
    "unfinished",
    "is_whole",
    "enforcers",
    "doctor",
    "show",
    "output",
    "give_out",
    "lay",
)
READING_S, CHANGING_S = 60.0, 1800.0
"""How long a host may take for what only reads its record, and for one change with its services."""

Facts = Callable[[list[Fact]], None]
"""Called with facts as they come, in their order."""
Events = Callable[[str, str, bytes], None]
"""Called with (kind, text, data): ("output", stream, bytes) or ("progress", text, b"")."""


class Process(Protocol):
    """A host half with pipes for its standard input and output, as `subprocess.Popen` is one."""

    @property
    def stdin(self) -> BinaryIO:
        """Where requests are written."""

    @property
    def stdout(self) -> BinaryIO:
        """Where answers are read."""

    def wait(self) -> int:
        """Wait for its end; give its exit code."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""

    def kill(self) -> None:
        """End it, whatever it waits for."""


_OUTPUT = shape.fields(
    {"event": shape.one_of("output"), "stream": shape.one_of("stdout", "stderr"), "data": shape.base64}
)
_PROGRESS = shape.fields({"event": shape.one_of("progress"), "text": shape.text})
_EFFECTS = shape.fields(
    {"event": shape.one_of("effects"), "effects": shape.many(lambda value: isinstance(value, dict))}
)
_FACTS = shape.fields({"event": shape.one_of("facts"), "facts": shape.many(is_row)})
_ERROR = shape.fields({"exit_code": shape.whole, **dict.fromkeys(("what", "state", "next"), shape.text)})
_CONFLICT = shape.mapping(shape.anything)


def _error(answer: dict[str, Any]) -> BackoutError:
    """Make the error that a host half answered with."""
    conflicts = answer.get("conflicts", ())
    if not _ERROR(answer["error"]) or not shape.many(_CONFLICT)(conflicts):
        return _not_understood()
    error = from_document(answer["error"])
    if isinstance(error, ConflictError):
        error.conflicts = tuple(conflicts)
    return error


def _not_understood() -> FailedError:
    return FailedError(
        "The host half said what this one does not understand.",
        state="A change in flight is finished or taken back by recover.",
        next="backout recover",
    )


def _ended(code: int) -> BackoutError:
    return FailedError(
        f"The host half ended unexpectedly (exit code {code}).",
        state="A change in flight is finished or taken back by recover.",
        next="backout recover",
    )


def _late(limit_s: float) -> FailedError:
    return FailedError(
        f"No answer in {limit_s:g} s; it is not waited for any longer.",
        state="A change in flight is finished or taken back by recover.",
        next="backout recover",
    )


def _no_events(kind: str, text: str, data: bytes) -> None:
    """Drop an event."""


def _no_facts(facts: list[Fact]) -> None:
    """Drop facts."""


@contextlib.contextmanager
def interrupts(act: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C, and what else ends a command, do this instead; for the main thread, any other is not asked."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        if before[number] is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda *_: act())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Link:
    """Speaks to one host half. Not for two threads at a time."""

    def __init__(
        self, process: Process, events: Events = _no_events, ended: Callable[[int], BackoutError] = _ended
    ) -> None:
        """Wait for the host half's first word; what a login shell prints before it is skipped.

        `ended` makes the error that tells of an end while an answer is waited for, from the exit code.
        """
        self._process, self._requests, self._answers = process, process.stdin, process.stdout
        self._events, self._ended = events, ended
        self._facts: Facts = _no_facts
        self._late_s: float | None = None
        self._stopped = False
        self._greet()

    def _greet(self) -> None:
        said = None
        while said is None:
            said = self._read().get("sentinel")
        if said != SENTINEL:
            raise NotPossibleError(f"The host half speaks {said}, this one {SENTINEL}.", next="Use the same release.")

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line and self._late_s is not None:
            self._process.wait()
            raise _late(self._late_s)
        if not line:
            raise self._ended(self._process.wait())
        with contextlib.suppress(ValueError):
            message = shape.load(line)
            if isinstance(message, dict):
                return message
        return {}

    def look(self, facts: Facts, **arguments: Any) -> Any:
        """Ask for a look, whose facts are handed over as they come: they may be more than fit into memory."""
        self._facts = facts
        return self.ask("look", **arguments)

    def ask(self, op: str, **arguments: Any) -> Any:
        """Ask for one operation and wait for its answer; errors of the host half are raised as what they are.

        An interrupt (Ctrl-C) is passed on to the host half; it is raised as KeyboardInterrupt after the answer,
        unless what was asked is bookkeeping. A host that hangs is not waited for: a FailedError says so.
        """
        if self._stopped and op in _INTERRUPTIBLE:
            raise InterruptedError("Interrupted.", state="This host is as it was before.")
        limit_s = None if op in _AS_LONG_AS_IT_TAKES else READING_S if op in _READING else CHANGING_S
        with self._interrupts_passed_on() as interrupted, self.limited(limit_s):
            self._request({"op": op, **arguments})
            answer = self._answer()
        if "error" in answer:
            raise _error(answer)
        if interrupted and op in _INTERRUPTIBLE:
            raise KeyboardInterrupt
        return answer["reply"]

    def _request(self, request: dict[str, Any]) -> None:
        """Send a request; that nobody is there to read it is what waiting for the answer tells."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()

    def _answer(self) -> dict[str, Any]:
        """Wait for the answer; effects that came ahead of it go into its document."""
        effects: list[Any] = []
        while True:
            message = self._read()
            if _EFFECTS(message):
                effects += message["effects"]
            elif _FACTS(message):
                self._facts(from_rows(message["facts"]))
            elif "event" in message:
                self._event(message)
            elif message.keys() & {"reply", "error"}:
                reply = message.get("reply")
                if isinstance(reply, dict) and isinstance(reply.get("document"), dict):
                    reply["document"]["effects"] = effects
                return message

    @contextlib.contextmanager
    def _interrupts_passed_on(self) -> Iterator[list[bool]]:
        """Let Ctrl-C reach the host half instead of us: its answer then says what state the host is in."""
        seen: list[bool] = []

        def pass_on() -> None:
            seen.append(True)
            self.interrupt()

        with interrupts(pass_on):
            yield seen

    def _event(self, message: dict[str, Any]) -> None:
        if _OUTPUT(message):
            self._events("output", message["stream"], base64.b64decode(message["data"]))
        elif _PROGRESS(message):
            self._events("progress", message["text"], b"")
        else:
            raise _not_understood()

    @contextlib.contextmanager
    def limited(self, limit_s: float | None) -> Iterator[None]:
        """End the host half when what is asked takes longer: a FailedError says so, and the ledger knows the rest."""

        def over() -> None:
            self._late_s = limit_s
            self._process.kill()

        if limit_s is None:
            yield
            return
        timer = threading.Timer(limit_s, over)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def interrupt(self) -> None:
        """Ask the host half to stop what it is doing and leave the host as it was."""
        self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """Interrupt, from any thread, and let nothing that Ctrl-C stops begin any more: an InterruptedError says so."""
        self._stopped = True
        self.interrupt()

    def close(self) -> None:
        """End the host half; one that still has something to say finds nobody to hear it."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        self._answers.close()
        self._process.wait()

    def __enter__(self) -> Self:
        """Give the link itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the host half."""
        self.close()

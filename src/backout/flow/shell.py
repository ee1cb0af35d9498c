"""A shell whose commands become lines of the timeline, whatever becomes of the journal meanwhile."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from backout.errors import BackoutError
from backout.flow.do import End, Ran, record_command
from backout.flow.incidents import Standing, standing
from backout.store.aside import KeepingJournal
from backout.terminal.marks import Ended, Hello, Lacks, Mark, Marks, Prompt, Started
from backout.terminal.plain import plain
from backout.terminal.relay import relay

UNKNOWN = "(a command that is not in the shell's history)"
"""What a command is called whose text bash does not know: after `set +o history`."""
_FRESH_S = 0.3
"""How long a prompt may wait for what the journal says now; then it shows what was known before."""
_LOOK_BACK = 64
_AFTER_LINE = re.compile(rb"(?:\n|\A)(?:\r|\x1b\[[0-?]*[ -/]*[@-~])*\Z")
"""What stands at the end of a stream when the cursor is at the beginning of a line."""


class Shell(NamedTuple):
    """Whose commands are recorded: `host` by the name that it is reached by, `environment` where one is meant.

    `incident` is the one that was named; without it the one is meant that is open when a command ends.
    """

    who: str
    host: str
    incident: str | None = None
    environment: str | None = None


class Known(NamedTuple):
    """What the journal said when it was asked last: where the incident stands, and the next word that is `due`.

    `complaints` say, in words for a person and each once, what lay aside or was not recorded, and why.
    """

    incident: Standing | None = None
    due: str = ""
    complaints: tuple[str, ...] = ()


Due = Callable[[KeepingJournal], str]
"""Says who is owed the next word, and sends again what did not arrive and is due; empty where all is well."""


class Outcome(NamedTuple):
    """How a shell ended: with which exit code, whether it had `began`, or what it `lacks`; and what was recorded."""

    code: int
    began: bool
    lacks: str
    recorded: int
    lost: int
    known: Known


class Writer:
    """Records in a thread of its own: a disk that hangs, or another writer, is not to stop what is typed."""

    def __init__(self, shell: Shell, opened: Callable[[], KeepingJournal], due: Due) -> None:
        self._shell, self._opened, self._due = shell, opened, due
        self._journal: KeepingJournal | None = None
        self._asked: queue.SimpleQueue[Ran | threading.Event | None] = queue.SimpleQueue()
        self._waiting: deque[Ran] = deque()
        self._thread: threading.Thread | None = None
        self._known = Known()
        self.recorded = 0
        """How many commands were taken, by the journal or aside."""

    @property
    def lost(self) -> int:
        """Tell how many commands were taken by nothing."""
        return len(self._waiting)

    def record(self, ran: Ran) -> None:
        """Hand over a command that has ended; returns at once."""
        self._ask(ran)

    def known(self) -> Known:
        """Give what the journal says now, with all that was handed over; what it said before where that takes long."""
        told = threading.Event()
        self._ask(told)
        told.wait(_FRESH_S)
        return self._known

    def close(self) -> Known:
        """Wait until all is recorded; gives what the journal said last."""
        self._ask(None)
        if self._thread is not None:
            self._thread.join()
        return self._known

    def _ask(self, asked: Ran | threading.Event | None) -> None:
        """Begin with the first that is asked: a thread that was there before would not have been forked with us."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._asked.put(asked)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            if isinstance(asked, Ran):
                self._waiting.append(asked)
            self._look()
            if isinstance(asked, threading.Event):
                asked.set()
        self._look()
        if self._journal is not None:
            self._journal.close()

    def _look(self) -> None:
        """Record what waits, and see where the incident stands. A journal that failed is opened anew the next time."""
        journal = self._journal = self._journal or self._opened()
        problems: list[str] = []
        try:
            meant = standing(journal, self._shell.incident, self._shell.environment)
            self._known = self._known._replace(incident=meant)
            while self._waiting:
                record_command(journal, self._shell.who, meant and meant.id, self._waiting[0])
                self._waiting.popleft()
                self.recorded += 1
            self._known = self._known._replace(due=self._due(journal))
        except BackoutError as error:
            problems = [" ".join(filter(None, (error.what, error.next)))]
        if journal.complaints or problems:
            told = (*self._known.complaints, *journal.complaints, *problems)
            self._known = self._known._replace(complaints=tuple(dict.fromkeys(told)))
            journal.close()
            self._journal = None


class _Running(NamedTuple):
    """A command that has begun, and the end of what it printed so far."""

    mark: Started
    at: float
    since: float
    printed: End


class Listener:
    """Hears what a shell prints: takes the marks out, records the commands, and puts a line in above the prompt."""

    def __init__(self, shell: Shell, writer: Writer, above: Callable[[Known], str]) -> None:
        self._shell, self._writer, self._above = shell, writer, above
        self._marks = Marks()
        self._running: _Running | None = None
        self._end = b""
        self.began = False
        """Whether the shell has told that it is there."""
        self.lacks = ""
        """What it needs and has not got; then it has ended."""

    def hear(self, data: bytes) -> bytes:
        """Take what was printed, at the end nothing; give what is shown of it."""
        if not data:
            return self._marks.rest()
        shown = bytearray()
        for piece in self._marks.feed(data):
            if isinstance(piece, bytes):
                shown += piece
                if self._running is not None:
                    self._running.printed.take(piece)
            else:
                shown += self._act(piece, bytes(shown[-_LOOK_BACK:]))
        self._end = (self._end + shown)[-_LOOK_BACK:]
        return bytes(shown)

    def end(self, code: int) -> None:
        """Record what ran when the shell ended."""
        self._ended(code)

    def _act(self, mark: Mark, shown: bytes) -> bytes:
        if isinstance(mark, Started):
            self._ended(mark.code)  # where nothing told of the end: of two lines that were pasted at once
            self._running = _Running(mark, time.time(), time.monotonic(), End())
        elif isinstance(mark, Ended):
            self._ended(mark.code)
        elif isinstance(mark, Prompt):
            line = self._above(self._writer.known())
            starts = b"" if _AFTER_LINE.search((self._end + shown)[-_LOOK_BACK:]) else b"\r\n"
            return starts + line.replace("\n", "\r\n").encode(errors="surrogateescape") if line else b""
        elif isinstance(mark, Hello):
            self.began = True
        elif isinstance(mark, Lacks):
            self.lacks = mark.what
        return b""

    def _ended(self, code: int) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        ran = Ran(  # noqa: S604 - nothing is started here
            words=(running.mark.text.strip() or UNKNOWN,),
            cwd=running.mark.cwd,
            host=self._shell.host,
            at=running.at,
            duration_s=time.monotonic() - running.since,
            exit_code=code,
            output=plain(bytes(running.printed)).encode(errors="surrogateescape"),
            is_cut=running.printed.is_cut,
            telling=running.printed.telling,
            shell="bash",
        )
        self._writer.record(ran)


def record(
    shell: Shell,
    words: Sequence[str],
    environ: Mapping[str, str],
    opened: Callable[[], KeepingJournal],
    *,
    due: Due,
    above: Callable[[Known], str],
) -> Outcome:
    """Run a shell that tells of its commands on this terminal, until it ends, and record them.

    `due` is asked at each prompt; `above` draws what stands above it, whole lines or nothing, from what the journal
    says. OSError where the shell cannot be started.
    """
    writer = Writer(shell, opened, due)
    listener = Listener(shell, writer, above)
    try:
        code = relay(words, environ, listener.hear)
        listener.end(code)
    finally:
        known = writer.close()
    return Outcome(code, listener.began, listener.lacks, writer.recorded, writer.lost, known)

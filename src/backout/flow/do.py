"""Commands that were run, as lines of the timeline. `do` and `shell` both record theirs here, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backout.flow.incidents import record
from backout.model.incident import COMMAND
from backout.model.redact import redact, redact_end, redact_words
from backout.model.ways import line
from backout.store.journal import Event, Journal

MOST_BYTES = 1 << 20
"""How much of a command's output is kept, from its end."""
_MOST_READ_BYTES = 8 << 20
"""How much of what is not kept is looked through for what broke: reading on would slow down what the command says."""
_MOST_TELLING = 40
TAIL_LINES, _TAIL_CHARACTERS = 20, 4000
_ESCAPES = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])"
"""Control sequences and operating system commands, as ECMA-48 writes them, and xterm."""


class Ran(NamedTuple):
    """A command that has ended: what it was, where and when it ran, and what came of it.

    `words` as they were given; `host` is the name that it was reached by, or this machine's. Times are seconds, `at`
    since the epoch. `output` is what it wrote, or the end of that: then `is_cut`, and `telling` are the lines before it
    that tell what broke, by what they are when folded. `name` is that of the way out which it is, `shell` that of the
    shell it was typed in. `exit_code` is as a shell tells it: 128 and the signal's number.
    """

    words: Sequence[str]
    cwd: str
    host: str
    at: float
    duration_s: float
    exit_code: int
    output: bytes = b""
    is_cut: bool = False
    telling: Mapping[str, str] = {}
    name: str = ""
    shell: str = ""


class End:
    """The end of what a command writes: all of it, or the last MOST_BYTES and what was `telling` before."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held = bytearray()
        self._dropped_bytes = 0
        self.telling: dict[str, str] = {}

    @property
    def is_cut(self) -> bool:
        """Tell whether something was dropped."""
        return self._dropped_bytes > 0

    def take(self, data: bytes) -> bytes:
        """Take some more; gives it back."""
        self._held += data
        if len(self._held) > 2 * MOST_BYTES:
            if self._dropped_bytes < _MOST_READ_BYTES and len(self.telling) < _MOST_TELLING:
                self.telling |= _telling(bytes(self._held[:-MOST_BYTES]).decode(errors="replace"))
            self._dropped_bytes += len(self._held) - MOST_BYTES
            del self._held[:-MOST_BYTES]
        return data

    def __bytes__(self) -> bytes:
        return bytes(self._held)


def argv(words: Sequence[str]) -> list[str]:
    """Give what is executed: of one word, a shell that reads it; several are taken as they are."""
    return ["sh", "-c", words[0]] if len(words) == 1 else list(words)


def record_command(journal: Journal, who: str, incident: str | None, ran: Ran) -> Event:
    """Put a command on an incident's timeline, without secrets; its output is kept by content."""
    words = redact_words(ran.words)
    is_cut = ran.is_cut or len(ran.output) > MOST_BYTES
    output = _output(ran.output[-MOST_BYTES:], is_cut=is_cut)
    tail = _tail(output)
    telling = _before(ran, output, tail)
    more = {
        "command": words,
        "cwd": ran.cwd,
        "host": ran.host,
        "exit_code": ran.exit_code,
        "duration_s": round(max(0.0, ran.duration_s), 3),
        "tail": tail,
        **({"telling": telling} if telling else {}),
        **({"output": journal.keep([output.encode("utf-8", "surrogateescape")])[0]} if output else {}),
        **({"is_cut": True} if is_cut else {}),
        **({"as": redact(ran.name)} if ran.name else {}),
        **({"shell": ran.shell} if ran.shell else {}),
    }
    return record(journal, who, incident, COMMAND, line(words), more=more, at=ran.at)


def _output(data: bytes, *, is_cut: bool) -> str:
    """Give the output without secrets, from a line's beginning where its own is not there."""
    if not is_cut:
        return redact(data.decode("utf-8", "surrogateescape"))
    whole = data.partition(b"\n")[2] or data
    return redact_end(whole.decode("utf-8", "surrogateescape"))


def _before(ran: Ran, output: str, tail: str) -> list[str]:
    """Give the lines that tell what broke and do not stand in the tail: those are what a search is to find, too."""
    told = {**ran.telling, **_telling(ran.output[:-MOST_BYTES].decode(errors="replace"))}
    if len(output) > len(tail):
        told |= _telling(output)
    plain = (redact(re.sub(_ESCAPES, "", line)) for line in told.values())
    return [line for line in plain if line not in tail][:_MOST_TELLING]


def _telling(output: str) -> dict[str, str]:
    if not output:
        return {}
    from backout.model.signature import telling_lines  # most outputs are short, and do not wait for its patterns

    return telling_lines(output, _MOST_TELLING)


def _tail(output: str) -> str:
    """Give the last lines as they can be read and searched: without what a terminal obeys."""
    lines = re.sub(_ESCAPES, "", output[-_TAIL_CHARACTERS * 4 :]).splitlines()
    return "\n".join(filter(str.strip, lines[-TAIL_LINES:]))[-_TAIL_CHARACTERS:]

"""The marks by which a shell tells of its commands, in the stream of what it prints: taken out, and told apart.

A mark is an operating system command (ECMA-48, 8.3.89), which ends with BEL as terminals have it. Those of VS Code have
the number, too: a terminal that sees one nonetheless passes over it. See recording.bash.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BEGINS = b"\x1b]633;backout;"
_ENDS = re.compile(rb"[\x07\x1b]")
_LONGEST_BYTES = 1 << 18
"""No longer than this is a mark waited for: a command line is shorter."""
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


class Hello(NamedTuple):
    """The shell is there, and about to read what its user has set."""


class Lacks(NamedTuple):
    """What is needed is not there, or is too old; the shell ends."""

    what: str


class Started(NamedTuple):
    """A command begins. `code` is how the one before ended; the text is empty where the shell does not know it."""

    code: int
    cwd: str
    text: str


class Ended(NamedTuple):
    """What ran has ended, or there was nothing: an empty line, Ctrl-C at the prompt."""

    code: int


class Prompt(NamedTuple):
    """What follows is the prompt."""


Mark = Hello | Lacks | Started | Ended | Prompt


class Marks:
    """Takes a stream as it comes, in pieces of any size; gives what is to be shown, and the marks, in their order.

    The first mark brings the shell's random number; from then on only marks with it count. All else passes unchanged.
    """

    def __init__(self) -> None:
        self._held = b""
        self._begins = _BEGINS
        self._is_known = False

    def feed(self, data: bytes) -> list[bytes | Mark]:
        """Take some more. What may be the beginning of a mark is held until it is known whether it is one."""
        found: list[bytes | Mark] = []
        shown, rest = bytearray(), self._held + data
        while (at := rest.find(self._begins)) >= 0:
            begins = at + len(self._begins)
            end = _ENDS.search(rest, begins, begins + _LONGEST_BYTES)
            if end is None and len(rest) < begins + _LONGEST_BYTES:
                break
            mark = self._mark(rest[begins : end.start()]) if end is not None and end[0] == b"\a" else None
            if end is None or mark is None:
                shown += rest[:begins]
                rest = rest[begins:]
                continue
            shown += rest[:at]
            rest = rest[end.end() :]
            if shown:
                found.append(bytes(shown))
                shown.clear()
            found.append(mark)
        kept = at if at >= 0 else len(rest) - _begun(rest, self._begins)
        shown += rest[:kept]
        self._held = rest[kept:]
        return [*found, bytes(shown)] if shown else found

    def rest(self) -> bytes:
        """Give what is held, at the end of the stream."""
        held, self._held = self._held, b""
        return held

    def _mark(self, said: bytes) -> Mark | None:
        """Read what stands in a mark; None where it is none of ours."""
        word, *fields = [_plain(field) for field in said.split(b";")]
        try:
            return self._known(word, fields) if self._is_known else self._first(word, fields)
        except ValueError:
            return None

    def _first(self, word: str, fields: list[str]) -> Mark | None:
        (value,) = fields
        if word == "lacks":
            return Lacks(value)
        if word != "hello" or not value:
            return None
        self._begins, self._is_known = b"%b%b;" % (_BEGINS, value.encode(errors="surrogateescape")), True
        return Hello()

    def _known(self, word: str, fields: list[str]) -> Mark | None:
        if word == "start":
            code, cwd, text = fields
            return Started(int(code), cwd, text)
        if word == "end":
            (code,) = fields
            return Ended(int(code))
        return Prompt() if word == "prompt" and not fields else None


def _begun(data: bytes, begins: bytes) -> int:
    """Tell how many bytes at the end may be the beginning of a mark."""
    sizes = range(min(len(begins) - 1, len(data)), 0, -1)
    return next((size for size in sizes if begins.startswith(data[-size:])), 0)


def _plain(field: bytes) -> str:
    """Undo what the shell did to bytes that would have ended the mark."""
    text = field.decode("latin-1")
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1").decode(errors="surrogateescape")

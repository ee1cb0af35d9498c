"""A person at a terminal: types, and waits for what is shown."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._shown = b""
        self._seen = 0
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], [*argv], {**environ, "TERM": "xterm"})

    @property
    def shown(self) -> str:
        """Give all that was shown, without control sequences."""
        return _SEQUENCES.sub("", self._shown.decode(errors="replace"))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode(errors="surrogateescape"))

    def until(self, pattern: str) -> str:
        """Wait for something that is sure to come, behind what was waited for before; gives what is shown up to it."""
        limit = time.monotonic() + 300
        while not (found := re.search(pattern, self.shown[self._seen :])):
            assert self._read(limit), f"waited in vain for {pattern!r}: {self.shown[self._seen :]!r}"
        begin, self._seen = self._seen, self._seen + found.end()
        return self.shown[begin : self._seen]

    def says(self, text: str, pattern: str) -> str:
        """Type a line; give what comes until the pattern."""
        self.type(text + "\n")
        return self.until(pattern)

    def end(self) -> int:
        """Wait until the program has ended; gives its exit code."""
        limit = time.monotonic() + 300
        while self._read(limit):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def is_usual(self) -> bool:
        """Tell whether it is as a person who is no program needs it: by lines, with echo, and Ctrl-C is heard."""
        usual = termios.ICANON | termios.ECHO | termios.ISIG
        return bool(termios.tcgetattr(self.master)[3] & usual == usual)

    def close(self) -> None:
        """Close the window."""
        os.close(self.master)

    def _read(self, limit: float) -> bool:
        if not select.select([self.master], [], [], max(0.0, limit - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has it open any more
            return False
        self._shown += data
        return bool(data)

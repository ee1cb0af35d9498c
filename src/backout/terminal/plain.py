"""What a command printed on a terminal, as text: without what the terminal obeys."""

from __future__ import annotations

import re

_SCREENS = re.compile(r"\x1b\[\?(?:1049|1047|47)h.*?(?:\x1b\[\?(?:1049|1047|47)l|\Z)", re.DOTALL)
"""What a full-screen program draws on the alternate screen (xterm): it leaves nothing there, either."""
_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])?"
)
"""Control sequences, operating system commands and control strings (ECMA-48, 5.4, 5.6 and 8.3.89)."""
_CONTROLS = re.compile(r"[\x00-\x07\x0b-\x1f\x7f]")


def plain(data: bytes) -> str:
    """Give the text that stays: of a line that was written over, as by a progress bar, what it was last.

    Bytes that are no UTF-8 become surrogates.
    """
    text = _SCREENS.sub("", data.decode(errors="surrogateescape"))
    return "\n".join(map(_last, _SEQUENCES.sub("", text).split("\n")))


def _last(line: str) -> str:
    written = [part for part in line.split("\r") if part]
    return _CONTROLS.sub("", _struck(written[-1])) if written else ""


def _struck(line: str) -> str:
    """Take out what was written over by backspace."""
    if "\b" not in line:
        return line
    kept: list[str] = []
    for char in line:
        if char != "\b":
            kept.append(char)
        elif kept:
            kept.pop()
    return "".join(kept)

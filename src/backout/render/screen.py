"""What a report is drawn on, and how text from a host is shown on it: escaped, never raw. Imports nothing heavy."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple, TextIO

# What a terminal would obey instead of show, or show in another order than it is written: control and format
# characters (the bidirectional overrides among them), surrogates (bytes that are not UTF-8), private and unassigned
# code points, and blanks other than the space. Unicode Standard Annex 44, general categories.
_UNSHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
_PLAIN = str.maketrans({"→": "->", "…": "...", "·": "-", "•": "*", "▲": "!"})
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e"}


class Screen(NamedTuple):
    """Where text is shown: `width` and `height` in cells; without `unicode` only ASCII is written."""

    width: int = 80
    height: int = 24
    color: bool = False
    unicode: bool = True

    def plain(self, text: str) -> str:
        """Give our own wording in the characters that this screen can show."""
        return text if self.unicode else text.translate(_PLAIN)

    def visible(self, text: str) -> str:
        """Give text from a host on one line, with what a terminal would not show as itself escaped."""
        if is_plain(text):
            return text
        return "".join(self._shown(char) for char in text)

    def name(self, text: str) -> str:
        """Give a name; one that needs escapes is quoted as `$'…'`, which bash and zsh read back as that very name.

        So is one with a blank at an end, which nobody would see.
        """
        if text == text.strip(" ") and (is_plain(text) or self.visible(text) == text):
            return text
        quoted = "".join({"\\": "\\\\", "'": "\\'"}.get(char) or self._shown(char, plain=False) for char in text)
        return f"$'{quoted}'"

    def word(self, text: str) -> str:
        """Give a word of a command line as a shell needs it, to be pasted; one that needs escapes as `$'…'`."""
        shown = self.name(text)
        return shown if shown != text else shlex.quote(text)

    def _shown(self, char: str, *, plain: bool = True) -> str:
        if char in _SHORT:
            return _SHORT[char]
        code = ord(char)
        if "\udc80" <= char <= "\udcff":
            return f"\\x{code - 0xDC00:02x}"
        if char != " " and unicodedata.category(char) in _UNSHOWN:
            return _escaped(code)
        if self.unicode or char.isascii():
            return char
        return char.translate(_PLAIN) if plain and ord(char) in _PLAIN else _escaped(code)


def is_plain(text: str) -> bool:
    """Tell whether any screen shows a text as it is: from a blank to a tilde, which are ASCII's printable ones."""
    return text.isascii() and text.isprintable()


def _escaped(code: int) -> str:
    r"""Escape as bash does in $'…': \x for ASCII alone, since above it a byte is meant."""
    if chr(code).isascii():
        return f"\\x{code:02x}"
    short = f"{code:04x}"
    return f"\\u{short}" if len(short) == len("ffff") else f"\\U{code:08x}"


def screen_of(stream: TextIO, environment: Mapping[str, str], *, color: bool = True) -> Screen:
    """Look at a stream: its size, whether it shows colour (a terminal, without NO_COLOR) and Unicode.

    A pipe is drawn like a terminal of 80x24, or of COLUMNS and LINES where these are set. NO_COLOR: https://no-color.org.
    """
    terminal = stream.isatty()
    size = os.terminal_size((80, 24))
    if terminal:
        try:
            size = os.get_terminal_size(stream.fileno())
        except OSError:
            terminal = False
    colored = color and terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").replace("_", "")
    return Screen(
        width=_number(environment.get("COLUMNS")) or size.columns or 80,
        height=_number(environment.get("LINES")) or size.lines or 24,
        color=colored,
        unicode=encoding == "utf8",
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0

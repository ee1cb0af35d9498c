"""Names come from the host that is being changed; none of them may speak to the terminal of who reads the report."""

from __future__ import annotations

import io
import os
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.render.screen import Screen, screen_of

SCREEN = Screen()


@contextmanager
def terminal(encoding: str = "utf-8") -> Iterator[TextIO]:
    """Give a real terminal of 120 by 40 to write to."""
    keyboard, screen = os.openpty()
    termios.tcsetwinsize(screen, (40, 120))
    with open(screen, "w", encoding=encoding) as stream:
        yield stream
    os.close(keyboard)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("/etc/naïve café", "/etc/naïve café"),
        ("/etc/motd ", "$'/etc/motd '"),
        (" ", "$' '"),
        ("/tmp/a\nb", r"$'/tmp/a\nb'"),
        ("/tmp/\x1b[2J", r"$'/tmp/\e[2J'"),
        ("/tmp/\udcff\udcfe", r"$'/tmp/\xff\xfe'"),
        ("/tmp/\u202egnp.exe", r"$'/tmp/\u202egnp.exe'"),
        ("/tmp/it's\t\\", r"$'/tmp/it\'s\t\\'"),
        ("/tmp/\x9b31m", r"$'/tmp/\u009b31m'"),
    ],
)
def test_a_name_is_shown_escaped_where_a_terminal_would_obey_it(raw: str, shown: str) -> None:
    """A file called like an escape sequence could otherwise rewrite the report that warns of it."""
    assert SCREEN.name(raw) == shown


@given(st.text())
def test_nothing_that_is_shown_can_steer_a_terminal(text: str) -> None:
    """Whatever the name, each character that is printed is one that prints."""
    assert SCREEN.visible(text).isprintable()
    assert SCREEN.name(text).isprintable()


@given(st.text())
def test_without_unicode_only_ascii_is_written(text: str) -> None:
    """A serial console or LANG=C must show the report, not crash on it."""
    plain = Screen(unicode=False)
    assert (plain.name(text) + plain.visible(text) + plain.plain("a → b …")).isascii()


@pytest.mark.parametrize("name", ["a\nb", "it's\x07", "back\\slash\r", "\x7f", "tab\there"])
def test_a_shown_name_can_be_pasted_into_a_shell(name: str) -> None:
    """Who is told of a strange file wants to look at it next."""
    shown = SCREEN.name(name)
    said = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, text=False, check=True)
    assert said.stdout == name.encode()


def test_bytes_that_are_no_text_can_be_pasted_too() -> None:
    """A name in another encoding is a name all the same."""
    shown = SCREEN.name(b"caf\xe9".decode("utf-8", "surrogateescape"))
    said = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, text=False, check=True)
    assert said.stdout == b"caf\xe9"


def test_a_pipe_gets_no_colour_and_a_usual_size() -> None:
    """`backout rehearse … | less` and CI logs must not be full of escape codes."""
    assert screen_of(io.TextIOWrapper(io.BytesIO(), "utf-8"), {}) == Screen(80, 24, color=False, unicode=True)


def test_a_terminal_gets_colour_unless_somebody_says_no() -> None:
    """NO_COLOR, --no-color and TERM=dumb are all ways to say so (no-color.org)."""
    with terminal() as stream:
        assert screen_of(stream, {"TERM": "xterm"}) == Screen(120, 40, color=True)
        assert not screen_of(stream, {"NO_COLOR": "1"}).color
        assert not screen_of(stream, {"TERM": "dumb"}).color
        assert not screen_of(stream, {}, color=False).color
        assert screen_of(stream, {"NO_COLOR": ""}).color


def test_columns_and_lines_have_the_last_word() -> None:
    """POSIX lets the user say how large the screen is."""
    with terminal() as stream:
        asked = screen_of(stream, {"COLUMNS": "100", "LINES": "50"})
    assert (asked.width, asked.height) == (100, 50)


@pytest.mark.parametrize(("encoding", "arrows"), [("utf-8", True), ("iso-8859-1", False), ("ascii", False)])
def test_an_encoding_without_arrows_gets_ascii(encoding: str, arrows: bool) -> None:
    """In a Latin-1 locale, printing an arrow would be a traceback."""
    with terminal(encoding) as stream:
        assert screen_of(stream, {}).unicode is arrows

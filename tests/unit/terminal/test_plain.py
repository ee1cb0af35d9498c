"""What is kept of a command's output: what a person could read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.terminal.plain import plain


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"\x1b[01;31m\x1b[Kred\x1b[m\x1b[K plain", "red plain"),
        (b"10%\r50%\r100%\r\ndone", "100%\ndone"),
        (b"\x1b]0;title\aname\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "namelink"),
        (b"before\r\n\x1b[?1049h\x1b[2Jvim draws\x1b[?1049lafter", "before\nafter"),
        (b"\x1b[?1049hcut off in vim", ""),
        (b"N\bNA\bAM\bME\bE", "NAME"),
        (b"\x1bP1$r0m\x1b\\x\x1b(B\x1b=y\a\x00", "xy"),
        (b"tab\tstays", "tab\tstays"),
        ("ä → €".encode(), "ä → €"),
        (b"latin \xe4", "latin \udce4"),
        (b"\x1b", ""),
    ],
)
def test_what_a_terminal_obeys_is_left_out(printed: bytes, text: str) -> None:
    """Else a secret with a colour in its midst would not be known for one, and nothing could be searched."""
    assert plain(printed) == text


@given(st.binary())
def test_nothing_that_a_terminal_obeys_is_left(printed: bytes) -> None:
    """What is kept is shown again."""
    assert not {char for char in plain(printed) if char < " " and char not in "\t\n"}

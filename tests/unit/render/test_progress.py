"""Progress is for eyes at a terminal, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import re
import time

import pytest

from backout.render.progress import Crowd, SilentReporter, TerminalReporter, crowd, reporter
from backout.render.screen import Screen


def stream() -> io.TextIOWrapper:
    """Give a text stream over bytes that can be read back."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")


def written(to: io.TextIOWrapper) -> str:
    """Read back what was written."""
    to.flush()
    buffer = to.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def left_on_screen(text: str) -> str:
    """Replay carriage returns and clearings as a terminal would."""
    return "\n".join(re.split(r"\r\x1b\[K", line)[-1] for line in text.split("\n"))


def test_the_line_says_what_is_being_done_and_goes_away() -> None:
    """The report that follows must begin on a clean line."""
    to = stream()
    with TerminalReporter(to, Screen()) as told:
        told.step("rehearsing")
        assert left_on_screen(written(to)) == "rehearsing 0 s"
    assert left_on_screen(written(to)) == ""


def test_the_seconds_count_while_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that stands still looks like a hang."""
    monkeypatch.setattr("backout.render.progress._EVERY_S", 0.001)
    to = stream()
    with TerminalReporter(to, Screen()) as told:
        told.step("rehearsing")
        while written(to).count("rehearsing") < 3:
            time.sleep(0.001)


def test_output_scrolls_above_the_line_unharmed() -> None:
    """What the command says is shown as it said it, with our line never in the middle of one of its."""
    to = stream()
    with TerminalReporter(to, Screen()) as told:
        told.step("running")
        told.output("stdout", b"one\nhal")
        told.output("stderr", b"f\n")
        assert left_on_screen(written(to)) == "one\nhalf\nrunning 0 s"
    assert left_on_screen(written(to)) == "one\nhalf\n"


def test_an_unfinished_line_is_ended_when_all_is_over() -> None:
    """Else the report would begin behind the command's last word."""
    to = stream()
    with TerminalReporter(to, Screen()) as told:
        told.output("stdout", b"no newline")
    assert written(to) == "no newline\n"


def test_after_the_end_nothing_is_drawn_any_more() -> None:
    """A late step of another thread must not scribble into the report."""
    to = stream()
    told = TerminalReporter(to, Screen())
    told.step("first")
    told.done()
    told.done()
    before = written(to)
    told.step("late")
    assert written(to) == before


def test_a_long_step_is_cut_to_the_screen() -> None:
    """A wrapped line cannot be cleared with a carriage return."""
    to = stream()
    with TerminalReporter(to, Screen(width=20)) as told:
        told.step("a very long step, with a\nnewline")
        assert len(left_on_screen(written(to))) < 20


def test_only_a_terminal_is_told() -> None:
    """CI logs and pipes get results, not progress."""
    keyboard, screen = os.openpty()
    with open(screen, "w", encoding="utf-8") as terminal:
        assert isinstance(reporter(terminal, Screen()), TerminalReporter)
        assert isinstance(reporter(terminal, Screen(), quiet=True), SilentReporter)
    os.close(keyboard)
    to = stream()
    silent = reporter(to, Screen())
    silent.step("x")
    silent.output("stdout", b"x")
    silent.done()
    assert isinstance(silent, SilentReporter)
    assert written(to) == ""


def test_hosts_are_named_with_what_they_are_at_while_they_fit() -> None:
    """Of three hosts one wants to know which one is slow; of fifty how many are done."""
    few = crowd("wave 2 of 5", {"web3": "applying", "web4": "checking"}, Screen(80, 24))
    assert few == "wave 2 of 5: web3 applying · web4 checking"
    many = crowd("wave 2 of 5", {f"web{n}": "applying" if n else "kept" for n in range(50)}, Screen(80, 24))
    assert many == "wave 2 of 5: 1 kept · 49 applying"


def test_a_crowd_begins_anew_with_every_step() -> None:
    """What a host was at in the wave before is over."""
    said: list[str] = []
    told = Crowd(said.append, Screen(80, 24, unicode=False))
    told.begin("wave 1 of 2")
    told.at("web1", "kept")
    told.begin("wave 2 of 2")
    told.at("web2", "applying")
    told.at("web3", "applying")
    assert said[-1] == "wave 2 of 2: web2 applying - web3 applying"
    assert said[:3] == ["wave 1 of 2", "wave 1 of 2: web1 kept", "wave 2 of 2"]

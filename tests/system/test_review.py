"""`backout review` as processes: two editors at once, a kill, the terminal's Ctrl-C, and the end of a review."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

from backout.flow import incidents
from backout.model.incident import NOTE, RESOLVED
from backout.store.sqlite import SqliteJournal
from kit.cli import Backout
from kit.terminal import Terminal

ENDED = time.time() - 2 * 86400


def over(backout: Backout) -> str:
    """Give an incident that was resolved two days ago."""
    with closing(SqliteJournal(Path(backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db")) as journal:
        name = incidents.declare(journal, "ada", lambda: "1", "production", "502 on every page", at=ENDED - 720)
        incidents.record(journal, "ada", name, NOTE, "No module named 'pkg_resources'", at=ENDED - 600)
        incidents.state(journal, "ada", name, "production", RESOLVED, at=ENDED)
    return name


def editor(backout: Backout, name: str, *lines: str) -> str:
    """Give the command of an editor that runs these lines; `$1` is the file."""
    path = backout.folder / name
    path.write_text("\n".join(["#!/bin/sh -e", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def typed(section: str, text: str) -> str:
    """Give the line of an editor that types below the heading of a section."""
    return f"sed -i 's/^## {section}$/&\\n{text}/' \"$1\""


def left(backout: Backout) -> list[Path]:
    """The files that wait for the next editor."""
    return sorted(Path(backout.environ["XDG_STATE_HOME"]).glob("backout/reviews/*/review.md"))


def test_a_review_from_the_first_editor_to_its_end(backout: Backout) -> None:
    """A mistake, two at once, a kill and a refusal on the way; every word that was typed is there at the end."""
    name = over(backout)
    path, action = (
        r"### P1 led: it moved\nentries: #2",
        r"### A1 Be more careful\n- owner: Ada\n- kind: prevent\n- closes: P1",
    )
    done = backout("review", EDITOR=editor(backout, "first", typed("Paths", path), typed("Actions", action)))
    assert (done.returncode, "asks for attention, or ends nowhere" in done.stdout) == (0, True)

    done = backout("review", EDITOR=editor(backout, "wrong", typed("Summary", "One."), "sed -i '/^## Impact/d' \"$1\""))
    assert (done.returncode, "the section '## Impact' is not there" in done.stderr) == (2, True)
    mended = editor(backout, "mended", "sed -i 's/^## What surprised us$/## Impact\\n\\n&/' \"$1\"")
    assert backout("review", EDITOR=mended).returncode == 0

    os.mkfifo(backout.folder / "go")
    slow = editor(backout, "slow", typed("Recovery", "Two."), "touch there", "read answer < go")
    with subprocess.Popen(
        backout.argv("review"), cwd=backout.folder, env={**backout.environ, "EDITOR": slow}, stdout=subprocess.PIPE
    ) as first:
        until(backout.folder / "there")
        quick = backout("review", EDITOR=editor(backout, "quick", typed("Detection", "Three.")))
        assert (quick.returncode, "opened again" in quick.stderr) == (0, False)
        (backout.folder / "go").write_text("\n")
        out, _ = first.communicate(timeout=60)
    assert (first.returncode, b"put together with what" in out) == (0, True)

    killed = editor(backout, "killed", typed("Response", "Four."), "kill -KILL $PPID")
    assert backout("review", EDITOR=killed).returncode == -signal.SIGKILL
    done = backout("review", EDITOR="true")
    assert (done.returncode, "It is opened again." in done.stderr) == (0, True)
    assert left(backout) == []

    refused = backout("review", "close")
    assert (refused.returncode, "A1 has no due day" in refused.stderr) == (3, True)
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 30 * 86400))
    said = rf"s/^- kind/- due: {day}\n- proof: accepted by Ada until {day}\n&/; s/Be more careful/Pin setuptools/"
    mend = editor(backout, "mend", f"sed -i '/^## Actions/,$ {{{said}}}' \"$1\"")
    assert backout("review", EDITOR=mend).returncode == 0
    assert backout("review", "close", "--incident", name).returncode == 0
    document, _ = backout.json("review")
    assert document["state"] == "closed"
    assert [word for word in ("One.", "Two.", "Three.", "Four.") if word not in document["text"]] == []


def until(path: Path) -> None:
    """Wait until an editor is at work."""
    while not path.exists():
        time.sleep(0.01)


def test_ctrl_c_is_the_editor_s_own(backout: Backout) -> None:
    """An editor that goes on after it is not taken away; one that ends by it leaves what was typed."""
    over(backout)
    tough = editor(
        backout, "tough", "trap 'echo heard' INT", typed("Summary", "An hour."), "echo at work", "read x || read x"
    )
    environ = {**backout.environ, "EDITOR": tough}
    with closing(Terminal(backout.argv("review"), backout.folder, environ)) as terminal:
        terminal.until("at work")
        terminal.type("\x03")
        terminal.until("heard")
        terminal.type("\r")
        assert terminal.end() == 0
    assert "An hour." in backout.json("review")[0]["text"]
    soft = editor(backout, "soft", typed("Impact", "Gone?"), "echo at work", "read x")
    with closing(Terminal(backout.argv("review"), backout.folder, {**backout.environ, "EDITOR": soft})) as terminal:
        terminal.until("at work")
        terminal.type("\x03")
        assert terminal.end() == 130
    with closing(Terminal(backout.argv("review"), backout.folder, {**backout.environ, "EDITOR": "true"})) as terminal:
        terminal.until("Go on with it")
        terminal.type("y\r")
        assert terminal.end() == 0
    assert "Gone?" in backout.json("review")[0]["text"]

"""An incident as people meet it: in a real terminal, with real mail, and with two people at it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.cli import Backout
from kit.mailserver import post
from kit.terminal import Terminal as Window

SILENT = ("--network", "none")
CONFIG = """
[environments.production]
hosts = ["local"]
watch = ["{folder}"]
checks = [{{ name = "answers", run = "test -e {folder}/ok", within = "1s" }}]
[audiences.client]
name = "Client Ltd"
to = ["mailto:ops@client.example"]
[audiences.boss]
to = ["mailto:gone@us.example"]
[mail]
server = "{mail}"
from = "ops@us.example"
tls = "none"
"""


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """Give the command line in a fresh folder."""
    return Backout(tmp_path)


class Terminal:
    """A real terminal of 80 columns and 24 lines, in tmux."""

    def __init__(self, command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        self._tmux = command

    def types(self, line: str) -> None:
        """Type a line, and Enter."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def shows(self, text: str) -> str:
        """Wait until a text is on the screen, wherever its lines are broken by the terminal; gives the screen."""
        until = time.monotonic() + 300
        while text not in " ".join((screen := self._tmux("capture-pane", "-pJ", "-S", "-").stdout).split()):
            assert time.monotonic() < until, screen
            time.sleep(0.1)
        return screen


@contextmanager
def terminal(backout: Backout, folder: Path) -> Iterator[Terminal]:
    """Give a terminal in which `backout` is the command line under test."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "backout"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(backout.argv())} "$@"\n')
    script.chmod(0o755)
    environ = {
        **backout.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "TMUX_TMPDIR": str(folder),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }

    def tmux(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["tmux", "-f", "/dev/null", *words], env=environ, capture_output=True, text=True, check=True, timeout=300
        )

    tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", str(backout.folder), "sh")
    try:
        yield Terminal(tmux)
    finally:
        tmux("kill-server")


def test_an_incident_from_the_alarm_to_the_letter(backout: Backout, tmp_path: Path) -> None:
    """Whoever's hands shake types five words; the client has mail, and what one target refused is shouted about."""
    (backout.folder / "ok").touch()
    with post() as server, terminal(backout, tmp_path) as screen:
        server.refuses = {"gone@us.example"}
        (backout.folder / "backout.toml").write_text(CONFIG.format(folder=backout.folder, mail=server.address))
        assert backout("run", *SILENT, "--yes", "--", "echo 8 > workers").returncode == 0
        (backout.folder / "ok").unlink()
        screen.types("backout panic everything answers 500")
        for question, answer in (
            ("What do you see?", "every page is a 500"),
            ("What will you try?", "take the change back"),
            ("How will you undo it?", ""),
        ):
            screen.shows(question)
            screen.types(answer)
        shown = screen.shows("The first word to client is due in")
        assert "echo 8 > workers" in shown
        assert "answers: fails" in shown
        screen.types("backout tell")
        screen.shows("Send these 2? [y/N]")
        screen.types("y")
        screen.shows("NOT DELIVERED to mailto:gone@us.example: backout tell --retry")
        screen.types("backout back; touch ok; backout note decided: it stays out")
        screen.shows("Taken back")
        screen.types("clear; backout calm --why 'a bad setting' --done 'we took it back'")
        screen.shows("Which data were lost (none)?")
        screen.types("")
        screen.shows("To send: backout tell, then backout tell --letter")
        server.refuses = set()
        screen.types("clear; backout tell client --yes; backout tell client --letter --yes; echo it is $((40 + 2))")
        screen.shows("it is 42")
    subjects = [mail["Subject"].partition("]")[0] for to, mail in server.mails if to == "ops@client.example"]
    assert subjects == ["[investigating", "[resolved", "[resolved"]
    letter = server.mails[-1][1].get_body(("plain",))
    assert letter is not None
    assert "Why: a bad setting" in letter.get_content()
    told = backout("export", "--utc").stdout
    assert [part in told for part in ("every page is a 500", "take the change back", "it stays out")] == [True] * 3


def test_two_people_on_two_machines_meet_at_the_hosts_record(backout: Backout, tmp_path: Path) -> None:
    """What a colleague changed, and took back, is on the timeline of whoever opened the incident, with their name."""
    (backout.folder / "ok").touch()
    (backout.folder / "backout.toml").write_text(CONFIG.format(folder=backout.folder, mail="127.0.0.1:9"))
    hers = {"SUDO_USER": "ada", "XDG_STATE_HOME": str(tmp_path / "ada")}
    his = {"SUDO_USER": "bob", "XDG_STATE_HOME": str(tmp_path / "bob")}
    assert backout("run", *SILENT, "--yes", "--why", "faster", "--", "echo 8 > workers", **his).returncode == 0
    opened, code = backout.json("panic", "-e", "production", "slow pages", environ=hers)
    assert code == 0
    assert [(row["who"], row["why"]) for row in opened["changes"]] == [("bob", "faster")]
    assert backout("back", **his).returncode == 0
    again, _ = backout.json("panic", environ=hers)
    assert again["joined"]
    incident, _ = backout.json("export", "--as", "json", environ=hers)
    changes = [entry for entry in incident["entries"] if entry["kind"] == "change"]
    assert {entry["body"]["body"]["who"] for entry in changes if "who" in entry["body"]["body"]} == {"bob"}
    assert changes[-1]["body"]["kind"] == "kept"


def test_what_is_typed_in_another_encoding_is_taken_and_can_be_sent(backout: Backout) -> None:
    """A terminal of the last century, or a stray key: the answer is kept, and Ctrl-D at the next question is none."""
    (backout.folder / "ok").touch()
    strict = {**backout.environ, "PYTHONIOENCODING": "utf-8:strict"}  # as in every UTF-8 locale but C's
    with post() as server:
        (backout.folder / "backout.toml").write_text(CONFIG.format(folder=backout.folder, mail=server.address))
        assert backout("panic", "slow").returncode == 0
        window = Window(backout.argv("calm"), backout.folder, strict)
        answers = {"Why did it": "\n", "What was done": "\udcfcberlastet\n", "data were lost": "\x04"}
        for question, answer in answers.items():
            window.until(question)
            window.type(answer)
        assert window.end() == 0
        assert backout("tell", "client", "--lost", "none", "--yes").returncode == 0
    ((_, mail),) = server.mails
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert "What was done: \N{REPLACEMENT CHARACTER}berlastet" in plain.get_content()

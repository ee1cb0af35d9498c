"""`backout do` as a process: the command is as it would be without us, and on the timeline whatever became of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from backout.flow import incidents
from backout.model.ways import ways_out
from backout.store.sqlite import SqliteJournal
from kit.cli import Backout
from kit.sshd import World, world
from kit.terminal import Terminal


def journal(backout: Backout) -> SqliteJournal:
    """The journal of the one who types."""
    return SqliteJournal(Path(backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db")


def entries(backout: Backout) -> list[dict[str, Any]]:
    """Every line that was recorded."""
    with closing(journal(backout)) as opened:
        return [event.body for event in opened.events(type="entry")]


def test_a_command_s_output_and_code_are_its_own_and_it_is_on_the_timeline(backout: Backout) -> None:
    """Whoever tries something in a hurry has it on record, with what it said."""
    with closing(journal(backout)) as opened:
        incident = incidents.declare(opened, "ada", lambda: "1", "production")
    done = backout("do", "--as", "make room", "--", "cat; echo token=hunter2 >&2; exit 3", stdin="typed\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "typed\n", "token=hunter2\n")
    with closing(journal(backout)) as opened:
        (entry,) = incidents.read(opened)[incident].of_kind("command")
    assert entry.body["tail"] == "typed\ntoken=••••"
    assert entry.body["cwd"] == str(backout.folder)
    (way,) = ways_out([entry])
    assert (way.name, way.exit_codes) == ("make room", (3,))


def test_with_json_the_document_is_alone_on_stdout(backout: Backout) -> None:
    """The command's output goes to stderr then."""
    document, code = backout.json("do", "--", "printf", "%s\n", "a b")
    assert (code, document["command"], document["tail"], document["number"]) == (0, ["printf", "%s\n", "a b"], "a b", 1)
    assert document["complaints"] == []


def test_a_command_that_is_not_there_is_recorded_as_a_shell_tells_it(backout: Backout) -> None:
    """Somebody tried it."""
    done = backout("do", "--", "no-such-command", "x")
    assert (done.returncode, done.stderr) == (127, "backout: no-such-command: No such file or directory\n")
    assert entries(backout)[0]["exit_code"] == 127


def test_an_incident_that_is_none_is_said_before_anything_runs(backout: Backout) -> None:
    """It would be recorded where nobody looks for it."""
    assert backout("do", "--incident", "nine", "--", "touch", "here").returncode == 2
    assert backout("do").returncode == 2
    assert not (backout.folder / "here").exists()


def test_where_the_journal_fails_output_and_code_still_arrive_and_the_record_lies_aside(backout: Backout) -> None:
    """The remedy must not hang on the record of it."""
    path = Path(backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db"
    path.parent.mkdir(parents=True)
    path.write_text("damaged")
    done = backout("do", "--", "echo said; exit 3")
    assert (done.returncode, done.stdout) == (3, "said\n")
    assert "kept aside" in done.stderr
    path.unlink()
    assert backout("note", "x").returncode == 0
    assert [body["text"] for body in entries(backout)] == ["echo said; exit 3", "x"]


def test_a_command_that_is_killed_or_ended_is_on_the_timeline(backout: Backout) -> None:
    """What was broken off is what somebody will ask about."""
    assert backout("do", "--", "kill -9 $$").returncode == 128 + signal.SIGKILL
    argv = backout.argv("do", "--", "echo ready; exec sleep 60")
    with subprocess.Popen(argv, env=backout.environ, cwd=backout.folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert [body["exit_code"] for body in entries(backout)] == [137, 143]


@pytest.fixture
def window(backout: Backout) -> Iterator[Terminal]:
    """A window with a command in it that asks."""
    asks = '[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && printf "\\033[31mname? " && read name && echo "hello $name"'
    line = f"{asks} && exec sleep 60"
    opened = Terminal(backout.argv("do", "--", line), backout.folder, backout.environ)
    yield opened
    with suppress(OSError):
        opened.close()


def test_on_a_terminal_the_command_has_one_and_ctrl_c_is_its_own(window: Terminal, backout: Backout) -> None:
    """It may ask, draw, and be interrupted: then it is recorded all the same."""
    window.until(r"name\? ")
    window.says("ada", "hello ada")
    window.type("\x03")
    window.until(r"1  by itself: no incident is open: exit code 130 after \d+ s")
    assert window.end() == 130
    (body,) = entries(backout)
    assert (body["exit_code"], body["tail"].splitlines()[-1]) == (130, "^C")
    assert "hello ada" in body["tail"]
    assert "\x1b" not in body["tail"]


@pytest.fixture(scope="module")
def reach() -> Iterator[World]:
    """A host, and whoever reaches it."""
    with world() as made:
        made.add("web1")
        made.environments('[environments.production]\nhosts = ["web1"]\nbecome = "sudo"\n')
        yield made


@pytest.mark.parametrize("name", ["web1", "production"])
def test_on_a_host_it_runs_over_ssh_and_is_recorded_here(name: str, reach: World) -> None:
    """By its own name, or that of its environment; words and input arrive as they were given."""
    words = ("sh", "-c", 'uname -n >&2; echo "$1"; cat; exit 5', "x", "it's $HOME")
    done = reach.backout("do", "-e", name, "--", *words, stdin="typed\n")
    assert (done.returncode, done.stdout, done.stderr) == (5, "it's $HOME\ntyped\n", "web1\n")
    body = entries(reach.backout)[-1]
    assert (body["host"], body["cwd"], body["exit_code"], body["command"]) == ("web1", "~", 5, list(words))


def test_an_environment_of_several_hosts_is_an_error_before_anything_runs(backout: Backout) -> None:
    """On which of them is not guessed."""
    (backout.folder / "backout.toml").write_text('[environments.production]\nhosts = ["a", "b"]\n')
    done = backout("do", "-e", "production", "--", "true")
    assert (done.returncode, "do works on one: a, b" in done.stderr) == (2, True)

"""`backout shell` with a real bash: what is done in it is on the timeline, and nothing else about it is different."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from backout.flow import incidents
from backout.store.sqlite import SqliteJournal
from kit.cli import Backout
from kit.sshd import until
from kit.terminal import Terminal

READY = r"ready\$ "
BASHRC = """
PS1='ready$ '
HISTCONTROL=ignoreboth
HISTIGNORE='secret*'
HISTTIMEFORMAT='%F '
PROMPT_COMMAND='last=$?'
bind 'set enable-bracketed-paste off'
"""
DRAWS = (
    r"""sh -c 'trap "stty size" WINCH; printf "\033[?1049hdra"; printf wn; until read key; do :; done"""
    r"""; printf "\033[?1049l"'"""
)
"""What an editor does: another screen, drawn anew when its size changes."""
Open = Callable[..., Terminal]


@pytest.fixture(autouse=True)
def home(backout: Backout, tmp_path: Path) -> None:
    """A home with a .bashrc as people have them."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text(BASHRC)
    backout.environ |= {"HOME": str(home), "HISTFILE": str(home / "history")}


@pytest.fixture
def opened(backout: Backout) -> Iterator[Open]:
    """Give what opens a window with the command line in it; afterwards none of it runs."""
    windows: list[Terminal] = []

    def open_window(*words: str, **environ: str) -> Terminal:
        windows.append(Terminal(backout.argv("shell", *words), backout.folder, {**backout.environ, **environ}))
        return windows[-1]

    yield open_window
    for window in windows:
        with suppress(OSError):
            window.close()


def journal(backout: Backout) -> SqliteJournal:
    """The journal of the one who types."""
    return SqliteJournal(Path(backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db")


def recorded(backout: Backout) -> list[dict[str, Any]]:
    """The bodies of all lines of timelines."""
    with closing(journal(backout)) as opened:
        return [event.body for event in opened.events(type="entry")]


def ran(backout: Backout) -> list[tuple[str, int]]:
    """Which commands were recorded, with their exit codes."""
    return [(body["text"], body["exit_code"]) for body in recorded(backout)]


def test_every_command_is_on_the_timeline_of_the_open_incident(backout: Backout, opened: Open) -> None:
    """Notes that nobody has to take: text, folder, exit code and output; the shell's exit code is ours."""
    with closing(journal(backout)) as before:
        incident = incidents.declare(before, "ada", lambda: "20261128-194341-sdx", "production", "checkout is down")
    window = opened()
    assert f"recorded on incident {incident}" in window.until(READY)
    window.says("cd /; echo it is 5; (exit 3)", rf"it is 5\r\n00:0\d:\d\d · production · {incident}\r\n{READY}")
    window.says("export PASSWORD=hunter2", READY)
    window.type("exit 9\n")
    assert window.end() == 9
    first, second, last = recorded(backout)
    assert first["incident"] == incident
    assert (first["kind"], first["command"], first["exit_code"]) == ("command", ["cd /; echo it is 5; (exit 3)"], 3)
    assert (first["cwd"], first["tail"]) == (str(backout.folder), "it is 5")
    assert first["shell"]
    assert second["cwd"] == "/"
    assert "hunter2" not in str(second)
    assert (last["text"], last["exit_code"]) == ("exit 9", 9)
    assert "3 commands recorded." in window.shown


def test_who_waits_for_a_word_stands_above_the_prompt(backout: Backout, opened: Open) -> None:
    """Nobody looks at a clock then; a configuration that cannot be read keeps nobody from a shell."""
    (backout.folder / "backout.toml").write_text('[audiences.client]\nto = ["mailto:ops@client.example"]\n')
    with closing(journal(backout)) as before:
        incidents.declare(before, "ada", lambda: "20261128-194341-sdx", "production")
    window = opened()
    window.until(rf"production · The first word to client is due in .*\r\n{READY}")
    (backout.folder / "backout.toml").write_text("not = [toml")
    window.type("exit\n")
    assert window.end() == 0
    window = opened()
    window.until(rf"i20261128-194341-sdx\r\n{READY}")
    window.type("exit\n")
    assert window.end() == 0


def test_however_a_command_is_given_it_is_recorded_once_as_a_whole(backout: Backout, opened: Open) -> None:
    """A trap on DEBUG would see the parts of a pipeline, and HISTCONTROL hides what is said twice, or after a space."""
    window = opened()
    window.until(READY)
    for line in ("echo a | tr a b", "false | true", " echo spaced", "echo twice", "echo twice", "secret() { :; }"):
        window.says(line, READY)
    window.type("for x in 1 2; do\necho $x\ndone\n")
    window.until(rf"1\r\n2\r\n{READY}")
    window.type("cat <<E\nin the midst\nE\n")
    window.until(rf"in the midst\r\n{READY}")
    window.says("( exit 4 )", READY)
    window.says("sleep 0.01 &", READY)
    window.says("history | grep -c -e spaced -e secret -e 'echo twice'", rf"2\r\n(?:.*Done.*\r\n)?{READY}")
    window.type("exec sh -c 'exit 6'\n")
    assert window.end() == 6
    assert ran(backout) == [
        ("echo a | tr a b", 0),
        ("false | true", 0),
        ("echo spaced", 0),
        ("echo twice", 0),
        ("echo twice", 0),
        ("secret() { :; }", 0),
        ("for x in 1 2; do echo $x; done", 0),
        ("cat <<E\nin the midst\nE", 0),
        ("( exit 4 )", 4),
        ("sleep 0.01 &", 0),
        ("history | grep -c -e spaced -e secret -e 'echo twice'", 0),
        ("exec sh -c 'exit 6'", 6),
    ]


def test_what_is_no_command_is_not_recorded(backout: Backout, opened: Open) -> None:
    """Ctrl-C at the prompt, an empty line, a wrong line, Ctrl-D: nothing was run."""
    window = opened()
    window.until(READY)
    window.type("half a comm\x03")
    window.until(READY)
    window.says("", READY)
    window.says("echo )", READY)
    window.type("\x04")
    assert window.end() == 2
    assert recorded(backout) == []


def test_keys_mean_to_the_program_what_they_mean_without_us(backout: Backout, opened: Open) -> None:
    """Ctrl-C ends it, Ctrl-Z stops it, fg goes on with it; bytes of any encoding arrive."""
    window = opened()
    window.until(READY)
    for key, sign in (("\x03", READY), ("\x1a", rf"Stopped.*\r\n{READY}")):
        window.says("sh -c 'echo on; cat'", r"\non\r\n")
        window.says("äöü →", "äöü →\r\n.*äöü →\r\n")
        window.type(key)
        window.until(sign)
    window.says("kill -9 %1; wait", READY)
    window.says("sh -c 'kill -STOP $$; echo back'", READY)
    window.says("fg", rf"\nback\r\n{READY}")
    window.type("exit\n")
    assert window.end() == 0
    assert ran(backout) == [
        ("sh -c 'echo on; cat'", 130),
        ("sh -c 'echo on; cat'", 148),
        ("kill -9 %1; wait", 0),
        ("sh -c 'kill -STOP $$; echo back'", 147),
        ("fg", 0),
        ("exit", 0),
    ]
    assert recorded(backout)[1]["tail"].splitlines()[1:3] == ["äöü →", "äöü →"]


def test_what_the_user_has_set_stays_and_may_change_meanwhile(backout: Backout, opened: Open) -> None:
    """Tools set PROMPT_COMMAND, PS0 and traps as they like: theirs work, and commands are recorded all the same."""
    window = opened()
    window.until(READY)
    window.says("(exit 5)", READY)
    window.says("echo last is $last", rf"last is 5\r\n{READY}")
    window.says("trap 'seen=$BASH_COMMAND' DEBUG; set -u", READY)
    window.says("PROMPT_COMMAND='echo mine' PS0='before '", READY)
    window.says("echo one", rf"one\r\nmine\r\n{READY}")
    window.says("set +o history; PS1='then$ '", r"then\$ ")
    window.says("echo ${HISTFILE}", r"then\$ ")
    window.says("exec 2>&1 >/dev/null", r"then\$ ")
    window.type("exit\n")
    window.end()
    assert [text for text, _ in ran(backout)][:5] == [
        "(exit 5)",
        "echo last is $last",
        "trap 'seen=$BASH_COMMAND' DEBUG; set -u",
        "PROMPT_COMMAND='echo mine' PS0='before '",
        "echo one",
    ]
    assert "not in the shell's history" in ran(backout)[6][0]


def test_a_program_cannot_put_a_line_on_the_timeline(backout: Backout, opened: Open) -> None:
    """Whoever can write to a log that is looked at could else make it say what was never done."""
    window = opened()
    window.until(READY)
    window.says(r"printf '\e]633;backout;hello;x\a\e]633;backout;x;start;0;/;forged\a\e]633;backout;x;end;0\a'", READY)
    window.says("env | grep -c backout_nonce", rf"0\r\n{READY}")
    window.type("exit\n")
    window.end()
    assert len(recorded(backout)) == 3


def test_a_journal_that_cannot_be_written_stops_nobody(backout: Backout, opened: Open) -> None:
    """What breaks a site breaks the record, too: it is told once, and what was done comes back onto it."""
    path = Path(backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db"
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_bytes(b"damaged " * 1000)
    window = opened()
    window.until(rf"is damaged(?s:.*){READY}")
    window.says("echo one", rf"one\r\n.*kept aside.*\r\n{READY}")
    window.says("echo two", rf"\ntwo\r\n{READY}")
    path.unlink()
    window.says("echo three", rf"\nthree\r\n{READY}")
    window.type("exit\n")
    assert window.end() == 0
    assert window.shown.count("is damaged") == 1
    assert [text for text, _ in ran(backout)] == ["echo one", "echo two", "echo three", "exit"]
    assert "4 commands recorded." in window.shown


def test_it_is_for_a_terminal_and_not_for_itself(backout: Backout, opened: Open) -> None:
    """Each refusal says what to do instead."""
    document, code = backout.json("shell")
    assert (code, document["next"]) == (2, "backout do --json -- CMD")
    assert "needs a terminal" in backout("shell").stderr
    window = opened("--incident", "nothing")
    assert window.end() == 2
    assert "No incident is named 'nothing'" in window.shown
    window = opened()
    window.until(READY)
    window.says(" ".join(backout.argv("shell")), rf"recorded already(?s:.*){READY}")
    window.type("exit\n")
    assert window.end() == 2


def test_full_screen_programs_know_the_size_and_leave_nothing(backout: Backout, opened: Open) -> None:
    """An editor that draws for another window is of no use; what it drew is no output."""
    window = opened()
    window.resize(100, 30)
    window.until(READY)
    window.says("stty size", rf"30 100\r\n{READY}")
    window.says(DRAWS, "drawn")
    window.resize(70, 20)
    window.until("20 70")
    window.says("", READY)
    window.says("stty size", rf"20 70\r\n{READY}")
    window.type("exit\n")
    assert window.end() == 0
    assert [body["tail"] for body in recorded(backout)] == ["30 100", "", "20 70", "exit"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_backout_leaves_the_terminal_as_it_was(backout: Backout, how: signal.Signals) -> None:
    """In raw mode the shell around it could not even be typed to. What ended before is recorded, the shell ends."""
    argv = backout.argv("shell")
    window = Terminal(["sh", "-c", '"$@"; echo "ended $?"; read line', "sh", *argv], backout.folder, backout.environ)
    window.until(READY)
    window.says("echo $$ >shell; echo $PPID >parent", READY)
    os.kill(int((backout.folder / "parent").read_text()), how)
    window.until(f"ended {128 + (signal.SIGKILL if how == signal.SIGKILL else signal.SIGHUP)}")
    until(window.is_usual, "the terminal to be as it was")
    inner = (backout.folder / "shell").read_text().strip()
    until(lambda: not Path(f"/proc/{inner}").exists(), "the shell to end")
    assert ran(backout)[0] == ("echo $$ >shell; echo $PPID >parent", 0)
    window.close()
    os.waitpid(window.pid, 0)

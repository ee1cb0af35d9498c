"""At a terminal: the question that `run` asks, and commands that ask questions of their own."""

from __future__ import annotations

import os
import pty

import pytest

from backout.flow.incidents import declare
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal
from kit.cli import Backout
from kit.mailserver import post

SILENT = ("--network", "none")


def at_terminal(backout: Backout, words: list[str], typed: list[tuple[str, str]]) -> tuple[int, str]:
    """Run it in a terminal of its own, and type each answer when its question is there; gives exit code and screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(backout.folder)
        argv = backout.argv(*words)
        os.execvpe(argv[0], argv, {**backout.environ, "TERM": "xterm"})
    shown, waiting = "", list(typed)
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if waiting and waiting[0][0] in shown:
            os.write(terminal, waiting.pop(0)[1].encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


@pytest.mark.parametrize(
    ("answer", "code", "left"),
    [
        ("yes\n", 0, "4\n"),
        ("y\n", 0, "4\n"),
        ("n\n", 3, "workers = 2\n"),
        ("\n", 3, "workers = 2\n"),
        ("\x04", 3, "workers = 2\n"),
        ("\x03", 130, "workers = 2\n"),
    ],
)
def test_the_question_at_a_terminal_decides(backout: Backout, answer: str, code: int, left: str) -> None:
    """Yes applies, no and silence refuse, Ctrl-C ends; the host is as the answer says."""
    got, shown = at_terminal(backout, ["run", *SILENT, "--", "echo 4 > app.conf"], [("[y/N]", answer)])
    assert got == code, shown
    assert "Traceback" not in shown
    assert (backout.folder / "app.conf").read_text() == left


def test_a_command_that_asks_gets_its_answer_at_a_terminal(backout: Backout) -> None:
    """--interactive gives the command this terminal; the answers to it and to us do not mix."""
    script = "printf 'how many? '; read n; test -t 0 && echo $n > app.conf"
    got, shown = at_terminal(
        backout, ["run", *SILENT, "--interactive", "--", script], [("how many? ", "7\r"), ("[y/N]", "y\n")]
    )
    assert got == 0, shown
    assert (backout.folder / "app.conf").read_text() == "7\n"


def test_a_command_that_asks_reads_what_is_piped_in(backout: Backout) -> None:
    """`yes | backout run --interactive`, as in a script."""
    done = backout(
        "run", *SILENT, "--interactive", "--yes", "--", "read a; read b; echo $b$a > app.conf", stdin="1\n2\n"
    )
    assert done.returncode == 0, done.stderr
    assert (backout.folder / "app.conf").read_text() == "21\n"


def test_without_interactive_a_command_that_asks_gets_nothing(backout: Backout) -> None:
    """It must not hang, nor eat what was piped to us."""
    done = backout("run", *SILENT, "--yes", "--", "read a; echo $a- > app.conf", stdin="1\n")
    assert done.returncode == 0, done.stderr
    assert (backout.folder / "app.conf").read_text() == "-\n"


def test_panic_asks_three_questions_and_keeps_each_answer(backout: Backout) -> None:
    """What was thought at the time is what the review needs; Enter skips a question."""
    typed = [
        ("What do you see?", "502 everywhere\n"),
        ("What will you try?", "\n"),
        ("How will you undo it?", "back\n"),
    ]
    code, shown = at_terminal(backout, ["panic", "it", "is", "down"], typed)
    assert code == 0, shown
    assert shown.index("Incident i") < shown.index("What do you see?")
    assert answers(backout) == {"see": "502 everywhere", "undo": "back"}


def test_ctrl_c_at_a_question_leaves_the_incident_open(backout: Backout) -> None:
    """Whoever has seen enough goes to work; what was answered is kept, and the next one joins."""
    typed = [("What do you see?", "502 everywhere\n"), ("What will you try?", "\x03")]
    code, shown = at_terminal(backout, ["panic"], typed)
    assert code == 130, shown
    assert "stays open" in shown
    assert answers(backout) == {"see": "502 everywhere"}
    assert backout.json("panic")[0]["joined"] is True


@pytest.mark.parametrize(("answer", "code", "got"), [("y\n", 0, ["ops@client.example"]), ("n\n", 3, [])])
def test_tell_shows_what_it_would_send_asks_for_what_is_missing_and_sends_after_a_yes(
    backout: Backout, answer: str, code: int, got: list[str]
) -> None:
    """What went to a client cannot be taken back; Enter is a no."""
    with post() as server:
        (backout.folder / "backout.toml").write_text(
            '[environments.production]\nhosts = ["nowhere.invalid"]\n'
            f'[audiences.client]\nto = ["mailto:ops@client.example"]\n[mail]\nserver = "{server.address}"\n'
        )
        with SqliteJournal(journal_path(backout.environ)) as journal:
            declare(journal, "ada", lambda: "1", "production")
        typed = [("What do you see?", "only error pages because of x\n"), ("Send it? [y/N]", answer)]
        exit_code, shown = at_terminal(backout, ["tell"], typed)
        assert (exit_code, [recipient for recipient, _ in server.mails]) == (code, got), shown
    assert '"because" is a cause' in shown


def answers(backout: Backout) -> dict[str, str]:
    """What the journal keeps of the three questions."""
    with SqliteJournal(journal_path(backout.environ)) as journal:
        bodies = [event.body for event in journal.events(type="entry")]
    return {body["asked"]: body["text"] for body in bodies if "asked" in body}

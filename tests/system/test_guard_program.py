"""A guard's program, really run: whatever it does, there is an answer, and nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from backout import program
from backout.model.guard import Answer

CONTENT = b'{"schema": "backout.effects/1"}'


def ask(line: str, folder: Path, within_s: float = 20.0, content: bytes = CONTENT) -> Answer:
    """What the program of the guard `policy` answers."""
    return program.ask("policy", line, content, str(folder), within_s)


def test_exit_0_lets_through_and_3_refuses_with_what_it_said(tmp_path: Path) -> None:
    """The contract of a guard's program, in two lines."""
    assert ask("echo fine", tmp_path) == Answer(refuses=False)
    assert ask("echo 'Not on a Friday'; exit 3", tmp_path) == Answer(refuses=True, text="Not on a Friday.")
    assert ask("echo told on the other stream! >&2; exit 3", tmp_path).text == "told on the other stream!"


def test_it_reads_the_document_in_the_folder_and_knows_which_guard_it_is(tmp_path: Path) -> None:
    """One program may serve several guards, and finds its files beside backout.toml."""
    answer = ask('[ "$(pwd -P)" = "$HERE" ]; echo "$BACKOUT_GUARD $(cat)"; exit 3', tmp_path)
    assert answer.text == 'policy {"schema": "backout.effects/1"}.'
    (tmp_path / "policy").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "policy").chmod(0o755)
    assert not ask("./policy", tmp_path).refuses


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("exit 3", "its program refused without a word."),
        ("./not-there", "its program is not there (exit code 127). It said: "),
        ("./plain", "its program is not executable (exit code 126). It said: "),
        (
            "echo trouble; exit 1",
            "its program exited 1, which is no answer: 0 lets through, 3 refuses. It said: trouble.",
        ),
        ("exit 2", "its program exited 2, which is no answer: 0 lets through, 3 refuses."),
        ("kill -SEGV $$", "its program was killed by SIGSEGV."),
        ("sh -c 'kill -KILL $$'; exit $?", "its program was killed by SIGKILL."),
        ("exit 200", "its program exited 200, which is no answer: 0 lets through, 3 refuses."),
        ("\0", "its program could not be started: embedded null byte."),
    ],
)
def test_every_other_end_refuses_and_says_why(line: str, why: str, tmp_path: Path) -> None:
    """Law 7, and fail closed: a policy that crashed has not said that a change is harmless."""
    (tmp_path / "plain").write_text("no program\n")
    answer = ask(line, tmp_path)
    assert answer.refuses
    assert answer.text.startswith(why)
    assert answer.next == f"Run it by hand, with the document of --json on its standard input: {line}"


def test_a_folder_that_is_gone_refuses(tmp_path: Path) -> None:
    """backout.toml may have been moved away meanwhile."""
    answer = ask("true", tmp_path / "gone")
    assert answer.refuses
    assert answer.text == "its program could not be started: No such file or directory."


def test_garbage_is_told_as_text_and_of_endless_output_the_beginning(tmp_path: Path) -> None:
    """What it says goes into a report and a record, and must neither break nor fill them."""
    garbage = ask(r"printf '\377\000\033[31m\n\nred'; exit 3", tmp_path)
    assert garbage.text == "\N{REPLACEMENT CHARACTER}\0\x1b[31m red."
    endless = ask("yes | head -c 1000000; exit 3", tmp_path)
    assert endless.refuses
    assert 0 < len(endless.text) <= program.KEPT_BYTES + 1


def test_a_document_that_is_not_read_is_no_trouble_and_a_large_one_arrives_whole(tmp_path: Path) -> None:
    """100,000 effects are 40 MB; a program that looks at the first line alone must not be killed for that."""
    content = b"x" * (8 << 20)
    assert not ask("exit 0", tmp_path, content=content).refuses
    assert ask("wc -c; exit 3", tmp_path, content=content).text == f"{8 << 20}."


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """A deployment must not wait for a policy for ever, nor leave its children behind."""
    group = 'python3 -c \'import os, time; os.setpgrp(); open("group", "w"); time.sleep(300)\''
    line = f"echo thinking; echo $$ > pids; sleep 300 & {group} & until [ -e group ]; do sleep 0.05; done; wait"
    answer = ask(line, tmp_path, within_s=5)
    assert (tmp_path / "group").exists()
    assert answer.text == "its program gave no answer within 5 s. It said: thinking."
    session = int((tmp_path / "pids").read_text())
    assert _left(session) == []


def test_what_it_leaves_running_holds_nobody_up_and_is_ended(tmp_path: Path) -> None:
    """A child that keeps the output open would let a finished program seem to hang."""
    assert ask("sleep 300 & echo $$ > pids; echo no; exit 3", tmp_path).text == "no."
    assert _left(int((tmp_path / "pids").read_text())) == []


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    """Ctrl-C at this moment must not leave a policy running."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            ask("echo $$ > pids; sleep 0.5; kill -ALRM $PPID; sleep 300", tmp_path)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert _left(int((tmp_path / "pids").read_text())) == []


def _left(session: int) -> list[str]:
    """The processes of a session that still run; one that was killed takes a moment to be gone."""
    for _ in range(200):
        left = [entry for entry in os.listdir("/proc") if entry.isdigit() and _session(entry) == session]
        if not left:
            break
        time.sleep(0.05)
    return left


def _session(process: str) -> int | None:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[3])

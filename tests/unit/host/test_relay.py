"""The host half behind a link without signals: lines that are signals, and the silence of a link that is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import backout
from backout.host.relay import ALIVE, INTERRUPT

SOURCE = Path(backout.__file__).parents[1]
SENTINEL = {"sentinel": "backout.wire/1"}


def start(folder: Path, silence_s: float) -> subprocess.Popen[bytes]:
    """Start a host half as it is behind ssh."""
    script = f"from backout.host.relay import main; main({silence_s})"
    environ = {**os.environ, "PYTHONPATH": str(SOURCE), "BACKOUT_STATE": str(folder / "state")}
    return subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, bufsize=0
    )


def say(process: subprocess.Popen[bytes], *lines: bytes) -> None:
    """Send lines."""
    assert process.stdin is not None
    for line in lines:
        process.stdin.write(line)


def hear(process: subprocess.Popen[bytes]) -> Any:
    """Wait for one line."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def asking(command: str) -> bytes:
    """Ask for something that takes a while: a command that is run live."""
    return json.dumps({"op": "after", "change": "x", "command": command}).encode() + b"\n"


def test_an_interrupt_on_the_line_ends_what_is_asked_for_and_the_next_is_answered(tmp_path: Path) -> None:
    """Otherwise Ctrl-C would end the ssh of the one who asked, and nothing on the host."""
    with start(tmp_path, 60) as process:
        assert hear(process) == SENTINEL
        say(process, asking("exec sleep 600"))
        assert "sleep" in hear(process)["text"]
        say(process, ALIVE, INTERRUPT)
        assert hear(process)["error"]["exit_code"] == 130
        say(process, b'{"op": "hello"}\n')
        assert hear(process)["reply"]["uid"] == os.geteuid()
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0


def test_a_request_of_any_length_arrives_whole(tmp_path: Path) -> None:
    """A journal's copies are megabytes in one line; it comes in many pieces."""
    with start(tmp_path, 60) as process:
        assert hear(process) == SENTINEL
        text = "x" * (1 << 20)
        say(process, json.dumps({"op": "no such thing", "text": text}).encode() + b"\n" + b'{"op": "hello"}\n')
        assert "does not know the operation" in hear(process)["error"]["what"]
        assert "uid" in hear(process)["reply"]
        assert process.stdin is not None
        process.stdin.close()


def test_a_link_on_which_nothing_comes_any_more_ends_what_is_under_way(tmp_path: Path) -> None:
    """Nobody tells the host when a cable is out; input that is still open says nothing."""
    begun = tmp_path / "begun"
    with start(tmp_path, 2) as process:
        assert hear(process) == SENTINEL
        say(process, asking(f"touch {begun}; exec sleep 600"))
        while not begun.exists():
            say(process, ALIVE)
            time.sleep(0.02)
        assert process.wait() == 0

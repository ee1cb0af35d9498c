"""Running a command to its end, and ending it when the drill is interrupted."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backout.errors import FailedError

GIVE_UP_S = 300.0
END_S = 30.0


class Done(NamedTuple):
    """A command that ended: what was typed, its exit code, what it printed, and how long it took (seconds)."""

    command: str
    exit_code: int
    output: str
    errors: str
    seconds: float


def run(command: Sequence[str], environ: Mapping[str, str], within_s: float = GIVE_UP_S) -> Done:
    """Run a command without a terminal; one that takes longer than `within_s` is ended, which is a FailedError.

    It gets a process group of its own, so that an interrupt reaches it once, from us, and is waited for.
    """
    begun = time.monotonic()
    process = subprocess.Popen(
        list(command),
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    )
    typed = shlex.join(command)
    try:
        output, errors = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        raise FailedError(f"It took longer than {within_s:.0f} seconds: {typed}") from None
    finally:
        end(process)
    return Done(typed, process.returncode, output, errors, time.monotonic() - begun)


def must(command: Sequence[str], environ: Mapping[str, str]) -> Done:
    """Run a command that has to succeed for the drill to go on; a FailedError shows the end of what it printed."""
    done = run(command, environ)
    if done.exit_code:
        tail = "\n".join((done.output + done.errors).strip().splitlines()[-15:])
        raise FailedError(f"The drill could not be set up: this exited {done.exit_code}: {done.command}\n{tail}")
    return done


def end(process: subprocess.Popen[str]) -> None:
    """End a process and its group: asked first, as Ctrl-C asks, so that it can clean up; killed after 30 seconds."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGINT)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            _signal(process.pid, signal.SIGKILL)
            process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)

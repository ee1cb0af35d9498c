"""A guard's program: asked with the effects document on its standard input; whatever goes wrong is an answer, too."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time

from backout.model.guard import Answer

LETS_THROUGH, REFUSES, NOT_EXECUTABLE, NOT_THERE = 0, 3, 126, 127
"""What an exit code says; the last two are the shell's (POSIX, Shell Command Language, 2.8.2)."""
KEPT_BYTES = 16 << 10
"""Of what a program says, as much is kept: a reason is a sentence or two."""
_CHUNK = 1 << 16
_TICK_S = 0.05


def ask(name: str, line: str, content: bytes, folder: str, within_s: float) -> Answer:
    """Run a line for `sh -c` in a folder, and take what it says; BACKOUT_GUARD names the guard.

    Exit 0 lets through, 3 refuses, and its output is the reason. Every other end refuses, too: what gave no answer is
    not known to be harmless. When it ends, or `within_s` seconds are over, all of its session is killed.
    """
    look = f"Run it by hand, with the document of --json on its standard input: {line}"
    try:
        code, said = _run(name, line, content, folder, within_s)
    except (OSError, ValueError) as error:  # a folder that is gone, a NUL in the line
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Answer(refuses=True, text=f"its program could not be started: {why}.", next=look)
    told = " ".join(said.decode(errors="replace").split())
    if code == LETS_THROUGH:
        return Answer(refuses=False)
    if code == REFUSES:
        text, way = (_sentence(told), "") if told else ("its program refused without a word.", look)
        return Answer(refuses=True, text=text, next=way)
    return Answer(refuses=True, text=_why(code, within_s) + (f" It said: {_sentence(told)}" if told else ""), next=look)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _why(code: int | None, within_s: float) -> str:
    """Say how a program ended that gave no answer."""
    if code is None:
        return f"its program gave no answer within {within_s:g} s."
    if code == NOT_THERE:
        return "its program is not there (exit code 127)."
    if code == NOT_EXECUTABLE:
        return "its program is not executable (exit code 126)."
    number = -code if code < 0 else code - 128  # as a shell tells of a child that was killed
    if number in set(signal.Signals):
        return f"its program was killed by {signal.Signals(number).name}."
    return f"its program exited {code}, which is no answer: 0 lets through, 3 refuses."


def _run(name: str, line: str, content: bytes, folder: str, within_s: float) -> tuple[int | None, bytes]:
    """Give the exit code (None: the time was over) and the beginning of what was said, errors included."""
    with tempfile.TemporaryFile() as given:  # not a pipe: it need not read all of it, nor any
        given.write(content)
        given.seek(0)
        process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=folder,
            env={**os.environ, "BACKOUT_GUARD": name},
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    said = bytearray()
    try:
        os.set_blocking(process.stdout.fileno(), False)
        _hear(process, process.stdout.fileno(), said, time.monotonic() + within_s)
        return process.poll(), bytes(said)
    finally:
        _kill(process.pid)
        process.wait()
        process.stdout.close()


def _hear(process: subprocess.Popen[bytes], output: int, said: bytearray, until: float) -> None:
    """Listen until the program has ended, or its time is over; what it leaves running may hold the output open."""
    open_still = True
    while process.poll() is None and time.monotonic() < until:
        if open_still:
            select.select([output], [], [], _TICK_S)
        else:
            time.sleep(_TICK_S)
        open_still = open_still and _read(output, said)
    while open_still and len(said) < KEPT_BYTES and select.select([output], [], [], 0)[0]:
        open_still = _read(output, said)


def _read(output: int, said: bytearray) -> bool:
    """Read what is there, and keep the beginning; tells whether there may be more."""
    try:
        data = os.read(output, _CHUNK)
    except BlockingIOError:
        return True
    said += data[: max(0, KEPT_BYTES - len(said))]
    return bool(data)


def _kill(session: int) -> None:
    """End what a program started, in whichever process group of its session; of another session it knows itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with contextlib.suppress(OSError, ValueError):
            if entry.isdigit() and os.getsid(int(entry)) == session:
                os.kill(int(entry), signal.SIGKILL)

"""The host half behind a link that carries lines, but no signals: a process beside it turns some lines into signals.

`{"op": "interrupt"}` is what SIGINT is on one machine. `{"op": "alive"}` says that the controller is there; when
nothing comes for a while, or the link ends, whatever is rehearsed ends, and an apply is finished for nobody to hear.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from typing import NoReturn

from backout.host import libc
from backout.host.signals import fork

INTERRUPT, ALIVE = b'{"op": "interrupt"}\n', b'{"op": "alive"}\n'
BEAT_S = 5.0
"""How often the controller says that it is there."""
SILENCE_S = 20.0
"""How long nothing may come before the link counts as cut: a broken one looks like an idle one for hours."""
_CHUNK = 1 << 16
_LONGEST_SIGNAL = 64
_PR_SET_PDEATHSIG = 1


def main(silence_s: float = SILENCE_S) -> None:
    """Serve on standard input and output, until they end or nothing has come for `silence_s` seconds."""
    requests, ours = os.pipe()
    serving = os.getpid()
    if fork() == 0:
        os.close(requests)
        _pass_on(serving, ours, silence_s)
    os.dup2(requests, 0)
    os.close(requests)
    os.close(ours)
    # Only now: the process beside is small, and shares with us no page that each of both would have to copy. And only
    # here: the controller reads the words above, and needs no host half for that.
    from backout.host import serve

    with contextlib.suppress(KeyboardInterrupt):  # the link was gone before the first word
        serve.main(signals_when_gone=signal.SIGUSR1)
    os._exit(0)  # all is said and flushed; taking the interpreter apart is what the controller would wait for


def _pass_on(serving: int, requests: int, silence_s: float) -> NoReturn:
    """Be the process beside: pass requests on, and tell when the link is gone."""
    try:
        libc.call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if os.getppid() == serving:
            _follow(serving, requests, silence_s)
            os.kill(serving, signal.SIGUSR1)
    finally:
        os._exit(0)


def _follow(serving: int, requests: int, silence_s: float) -> None:
    """Return when the link is gone."""
    said = bytearray()
    while select.select([0], [], [], silence_s)[0]:
        chunk = os.read(0, _CHUNK)
        if not chunk:
            return
        said += chunk
        if b"\n" not in chunk:
            continue
        *lines, rest = bytes(said).split(b"\n")
        said = bytearray(rest)
        for line in lines:
            _hear(serving, requests, line + b"\n")


def _hear(serving: int, requests: int, line: bytes) -> None:
    operation = _signal_in(line)
    if operation == "interrupt":
        os.kill(serving, signal.SIGINT)
    elif operation != "alive":
        left = memoryview(line)
        while left:
            left = left[os.write(requests, left) :]


def _signal_in(line: bytes) -> object:
    """Give the operation of a line that may be for us; None of any other."""
    if len(line) > _LONGEST_SIGNAL:
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message.get("op") if isinstance(message, dict) else None

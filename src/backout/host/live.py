"""Commands that are run on the live host, for as long as they may take."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from backout.model.redact import redact

KEPT_BYTES = 4096


def run(command: str, within_s: float) -> dict[str, Any]:
    """Run a line for `sh -c`; gives {exit_code, duration_s, output}: the end of what it wrote, without secrets.

    One that takes longer, or is interrupted, is ended, with all in its session; its exit code is then 124.
    """
    begun = time.monotonic()
    with ended(command, within_s) as (code, said):
        size = said.seek(0, os.SEEK_END)
        output = os.pread(said.fileno(), KEPT_BYTES, max(0, size - KEPT_BYTES)).decode("utf-8", "replace")
    return {
        "exit_code": 128 - code if code < 0 else code,
        "duration_s": time.monotonic() - begun,
        "output": redact(output),
    }


@contextmanager
def ended(command: str, within_s: float | None = None) -> Iterator[tuple[int, IO[bytes]]]:
    """Run a line for `sh -c` to its end; gives its exit code as Popen does (124: it took longer), and all it wrote."""
    with tempfile.TemporaryFile() as said:  # not a pipe: what it leaves running may hold that open for ever
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(within_s)
        except subprocess.TimeoutExpired:
            _end(process)
            code = 124
        except BaseException:  # interrupted: it does not go on alone
            _end(process)
            raise
        yield code, said


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

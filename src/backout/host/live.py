"""Commands that are run on the live host, for as long as they may take."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from typing import Any

from backout.model.redact import redact

KEPT_BYTES = 4096


def run(command: str, within_s: float) -> dict[str, Any]:
    """Run a line for `sh -c`; gives {exit_code, duration_s, output}: the end of what it wrote, without secrets.

    One that takes longer, or is interrupted, is ended, with all in its session; its exit code is then 124.
    """
    begun = time.monotonic()
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
        except BaseException:
            _end(process)
            raise
        size = said.seek(0, os.SEEK_END)
        output = os.pread(said.fileno(), KEPT_BYTES, max(0, size - KEPT_BYTES)).decode("utf-8", "replace")
    code = 128 - code if code < 0 else code
    return {"exit_code": code, "duration_s": time.monotonic() - begun, "output": redact(output)}


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

"""Running checks: shell commands and HTTP requests, repeated until healthy or until their time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO, Callable, NamedTuple

from backout.model.check import HEALTHY, NOT_RUN, REHEARSAL, UNHEALTHY, Check, CheckResult
from backout.model.redact import redact

KEPT_BYTES = 4096
_LONGEST_HEADLINE = 1000
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_MARK = "BACKOUT_CHECK"
_HEALTHY_STATUS = range(200, 400)
_CANNOT_JUDGE = "This cannot be judged here: it fails in a rehearsal without the change, too.\n"
_NO_REHEARSAL = "Its URL is for the live application; it names no rehearsal (start, http)."


class _Tried(NamedTuple):
    """`said` is kept from its end, `headline` (a status line, an exit code) whatever is said below it.

    `ended` tells that it had the time to answer.
    """

    healthy: bool
    headline: str
    said: str = ""
    ended: bool = True


def run_checks(checks: Sequence[Check], where: str, env: Mapping[str, str]) -> list[CheckResult]:
    """Run each check in turn; `where` is before, rehearsal or after. Each result has at most 4 KiB of redacted output.

    What a check starts does not survive it: it is ended by its session and by a mark in its environment, so also when
    it made a session of its own or this is interrupted; only what left its session *and* cleared its environment is
    missed.
    """
    return [_run_check(check, where, env) for check in checks]


def judge_control(with_change: Sequence[CheckResult], without_change: Sequence[CheckResult]) -> list[CheckResult]:
    """Call checks not run that fail in the rehearsal without the change, too: they tell nothing about it (traps B6)."""
    hopeless = {result.name for result in without_change if result.result == UNHEALTHY}
    return [
        result._replace(result=NOT_RUN, output=_CANNOT_JUDGE + result.output)
        if result.result == UNHEALTHY and result.name in hopeless
        else result
        for result in with_change
    ]


def _run_check(check: Check, where: str, env: Mapping[str, str]) -> CheckResult:
    url = check.rehearsal_http if where == REHEARSAL else check.http
    if url is None and check.run is None:
        return CheckResult(check.name, where, NOT_RUN, _NO_REHEARSAL)
    deadline = time.monotonic() + check.within_s
    with _processes(env) as start:
        application = start(check.start) if check.start and where == REHEARSAL else None
        tried = _until_healthy(check, url, deadline, start, application)
        said = tried.said if application is None else tried.said + application.said("\nThe application said:\n")
    head = redact(tried.headline)[:_LONGEST_HEADLINE] + ("\n" if tried.headline and said else "")
    output = head + redact(said)[len(head) - KEPT_BYTES :]
    return CheckResult(check.name, where, HEALTHY if tried.healthy else UNHEALTHY, output)


def _until_healthy(
    check: Check, url: str | None, deadline: float, start: _Start, application: _Process | None
) -> _Tried:
    """Try at least once, then again until the time is over or the application has failed.

    Gives what was said last; of a try that the end of the time cut short only when there was no other.
    """
    pause_s, before = _PAUSE_S, None
    while True:
        left_s = max(deadline - time.monotonic(), _PAUSE_S)
        tried = _get(url, left_s) if url is not None else _shell(start(check.run or ""), left_s)
        tried = before = tried if tried.ended or before is None else before
        gave_up = application is not None and application.failed()
        if tried.healthy or gave_up or time.monotonic() + pause_s >= deadline:
            return tried
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


class _Process:
    """A shell command in a session of its own; its output goes to a file, so that no daemon keeps us waiting."""

    def __init__(self, command: str, env: Mapping[str, str]) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def code(self, within_s: float) -> int | None:
        """Wait for its exit code; None when it runs on."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    def failed(self) -> bool:
        """Tell whether it has ended badly; one that ended well may have left a daemon."""
        return self._process.poll() not in (None, 0)

    def said(self, heading: str = "") -> str:
        """Give the last of its output."""
        size = self._output.seek(0, os.SEEK_END)
        # Not through the file's own position, which the running process shares.
        text = os.pread(self._output.fileno(), KEPT_BYTES, max(0, size - KEPT_BYTES)).decode("utf-8", "replace")
        return heading + text if text else ""

    def end(self) -> None:
        """End its session, at once: it holds nothing that anyone needs."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()


_Start = Callable[[str], _Process]


@contextmanager
def _processes(env: Mapping[str, str]) -> Iterator[_Start]:
    """Give a function that starts shell commands; all that they started is ended in the end, also on Ctrl-C."""
    mark = os.urandom(16).hex()
    marked = {**env, _MARK: mark}
    started: list[_Process] = []

    def start(command: str) -> _Process:
        started.append(_Process(command, marked))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.end()
        _end_marked(f"{_MARK}={mark}".encode())


def _end_marked(mark: bytes) -> None:
    """Kill every process with our mark, until a look round finds none: one may have forked meanwhile."""
    while True:
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_marked(pid, mark)]
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.005)


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def _shell(process: _Process, within_s: float) -> _Tried:
    code = process.code(within_s)
    said = process.said()
    process.end()
    if code is None:
        return _Tried(healthy=False, headline=f"No end within {within_s:.1f} s.", said=said, ended=False)
    return _Tried(code == 0, f"Exit code {code}." if code else "", said)


def _get(url: str, within_s: float) -> _Tried:
    """Ask once, never through a proxy, following no redirection; 2xx and 3xx are healthy (model.check)."""
    # Imported here: these cost more time than most of what this module is imported for.
    import http.client
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        with closing(kind(parts.hostname or "", parts.port, timeout=within_s)) as connection:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": "backout"})
            answer = connection.getresponse()
            body = answer.read(KEPT_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError, http.client.HTTPException) as error:
        late = isinstance(error, TimeoutError)
        return _Tried(healthy=False, headline=f"{url}: {type(error).__name__}: {error}", ended=not late)
    return _Tried(answer.status in _HEALTHY_STATUS, f"{answer.status} {answer.reason}", body)

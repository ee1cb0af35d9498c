"""This machine as a host: the host half as a child process, spoken to like any other."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import BinaryIO, NoReturn

from backout.host.signals import fork
from backout.link.wire import Events, Link


class Child:
    """A host half that was forked off: what a `Link` needs of a process."""

    def __init__(self, pid: int, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self.stdin, self.stdout = stdin, stdout
        self._pid = pid
        self._code: int | None = None

    def wait(self) -> int:
        """Wait for its end; give its exit code, minus the signal when one ended it."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if self._code is None:
            os.kill(self._pid, number)

    def kill(self) -> None:
        """End it, whatever it waits for."""
        self.send_signal(signal.SIGKILL)


def begin(stdin: int | None = None) -> Child:
    """Fork the host half off, which comes up beside what the caller does until it connects. For one thread only.

    A fresh interpreter would spend most of a short rehearsal on importing what this one has imported already.
    `stdin` is a descriptor that the rehearsed command may read from. A host half that nobody connects to ends with the
    caller.
    """
    requests, ours = os.pipe()
    answers, theirs = os.pipe()
    pid = fork()
    if pid == 0:
        _serve(requests, theirs, stdin)
    os.close(requests)
    os.close(theirs)
    return Child(pid, open(ours, "wb"), open(answers, "rb"))


def _serve(requests: int, answers: int, stdin: int | None) -> NoReturn:
    """Be the host half: in a session of its own, with nothing of the caller's but standard error and `stdin`."""
    code = 70  # EX_SOFTWARE: what goes wrong below is a bug, and its traceback says which
    try:
        os.setsid()
        os.dup2(requests, 0)
        os.dup2(answers, 1)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) != stdin:  # noqa: PLR2004 - the standard three
                with contextlib.suppress(OSError):  # the one that listed them is closed by now
                    os.close(int(name))
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from backout.host import acting, rehearse, serve

        del acting, rehearse  # imported while the caller is at its own imports: most commands here ask for it
        serve.main()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(code)


def connect(child: Child, events: Events) -> Link:
    """Speak to the host half that was begun."""
    return Link(child, events)

"""This machine as a host: the host half as a child process, spoken to like any other."""

from __future__ import annotations

import os
import subprocess
import sys

from backout.link.wire import Events, Link

_SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from backout.host.serve import main; "
    "sys.dont_write_bytecode = True; main()"  # what is imported later may be imported inside a view
)


def connect(events: Events, stdin: int | None = None) -> Link:
    """Start the host half with an interpreter that reads nothing of the user's: no site, no environment, no cwd.

    Paths are UTF-8 with surrogate escapes in all that is written, whatever the locale: it is read under others.

    `stdin` is a descriptor that the rehearsed command may read from.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", _START, _SOURCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=() if stdin is None else (stdin,),
        start_new_session=True,
    )
    return Link(process, events)

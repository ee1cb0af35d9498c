"""What waits, when a signal comes in the middle of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

INTERRUPTED_IN_A_HOOK = """
import os, signal
from backout.host.signals import fork

os.register_at_fork({when}=lambda: os.kill(parent, signal.SIGINT))
parent = os.getpid()
try:
    child = fork()
except KeyboardInterrupt:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    os.write(1, f"heard, {{len(blocked)}} blocked\\n".encode())
else:
    os.write(1, b"lost\\n" if child else b"child\\n")
"""


@pytest.mark.parametrize("when", ["before", "after_in_parent"])
def test_a_ctrl_c_in_the_middle_of_a_fork_is_heard_by_the_parent_alone(when: str) -> None:
    """Raised inside a hook it would be printed and forgotten, and a split would try on to its end."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_A_HOOK.format(when=when)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert sorted(done.stdout.splitlines()) == ["child", "heard, 0 blocked"], done.stderr
    assert done.stderr == ""

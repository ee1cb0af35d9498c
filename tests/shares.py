"""All tests, in shares: some processes take one after the other, for much of what a test takes is waiting.

Options are pytest's. What a share printed is shown when it has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

TESTS = Path(__file__).parent
AT_ONCE = (os.cpu_count() or 1) + 1
PARTED = ("system", "fault", "property")
"""The folders whose tests are dear; all else is one share."""
FILES = 3
"""How many files make a share: few, so that all processes end at about the same time; each share starts anew."""

MACHINE = {
    *("services", "test_containment", "test_host_state", "test_look"),
    *("test_managers", "test_packages", "test_rootless", "test_trial"),
}
"""System tests that change this machine's own packages and accounts, or notice when another does: one share."""
DEAREST = [
    *("test_drill", "test_split", "test_error_sweep", "test_cases", "test_fifty_hosts", "test_busy_managers"),
    *("test_adversity", "test_moving_host", "test_drift", "test_kill_sweep", "test_fidelity"),
]
"""Files that take longest, a share each: what is long begins early."""


def shares() -> list[list[Path]]:
    """Give the files and folders of each share, in the order in which they are taken; together they are all tests."""
    parted = [TESTS / name for name in PARTED]
    whole = sorted(path for path in TESTS.iterdir() if path not in parted and _holds_tests(path))
    files = sorted(path for folder in parted for path in folder.iterdir() if _holds_tests(path))
    machine = [path for path in files if path.stem in MACHINE]
    dear = sorted((path for path in files if path.stem in DEAREST), key=lambda path: DEAREST.index(path.stem))
    others = [path for path in files if path not in {*machine, *dear}]
    parts = [others[start : start + FILES] for start in range(0, len(others), FILES)]
    return [machine, *([path] for path in dear), whole, *parts]


def _holds_tests(path: Path) -> bool:
    return path.match("test_*.py") or any(path.rglob("test_*.py"))


def run(share: list[Path]) -> subprocess.CompletedProcess[bytes]:
    """Run a share; gives what pytest printed, and its exit code."""
    command = [sys.executable, "-m", "pytest", *sys.argv[1:], *map(str, share)]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def main() -> int:
    """Run all; gives an exit code of pytest that is not 0, if there is one."""
    code = 0
    with ThreadPoolExecutor(AT_ONCE) as processes:
        for ended in as_completed([processes.submit(run, share) for share in shares()]):
            done = ended.result()
            sys.stdout.buffer.write(done.stdout)
            sys.stdout.flush()
            code = code or done.returncode
    return code


if __name__ == "__main__":
    sys.exit(main())

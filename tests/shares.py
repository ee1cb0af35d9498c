"""All tests, in shares: as many processes as there are CPUs take one after the other.

Not more: how soon a fork bomb is ended is held against what else the machine does. Options are pytest's. What a share
printed is shown when it has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from pathlib import Path

TESTS = Path(__file__).parent
AT_ONCE = os.cpu_count() or 1
PARTED = ("system", "fault", "property")
"""The folders whose tests are dear; all else is one share."""
FILES = 3
"""How many files make a share: few, so that all processes end at about the same time; each share starts anew."""

CHANGING = ["test_managers", "test_packages"]
"""System tests that change this machine: its packages, and its /etc/passwd, over which every host of kit.sshd has its
own, and where something is mounted on a file that is replaced, the kernel takes it away. They are the first share."""
READING = ["test_containment", "test_host_state", "test_rootless"]
"""System tests that hold the whole host against what it was: what one of them holds open, another would take for a
change. They are one share, too."""
UNCONCERNED = ["test_drill", "test_cases"]
"""System tests to which that is nothing; all others wait until it is over."""
DEAREST = [
    *("test_error_sweep", "test_kill_sweep", "test_fidelity", "test_split", "test_fifty_hosts"),
    *("test_busy_managers", "test_adversity", "test_moving_host", "test_drift"),
]
"""Files that take long, a share each: what is long begins early."""
Share = list[Path]


def shares() -> tuple[Share, list[Share], list[Share]]:
    """Give what changes this machine, what may be beside it, and what comes after it; together they are all tests."""
    parted = [TESTS / name for name in PARTED]
    whole = sorted(path for path in TESTS.iterdir() if path not in parted and _holds_tests(path))
    system, *rest = (sorted(filter(_holds_tests, folder.iterdir())) for folder in parted)
    changing = [path for path in system if path.stem in CHANGING]
    unconcerned = [[path] for path in system if path.stem in UNCONCERNED]
    reading = [path for path in system if path.stem in READING]
    others = [path for path in system if path.stem not in CHANGING + READING + UNCONCERNED]
    beside = [*unconcerned, whole, *_parts([path for files in rest for path in files])]
    return changing, beside, [reading, *_parts(others)]


def _holds_tests(path: Path) -> bool:
    return path.match("test_*.py") or any(path.rglob("test_*.py"))


def _parts(files: list[Path]) -> list[Share]:
    dear = sorted((path for path in files if path.stem in DEAREST), key=lambda path: DEAREST.index(path.stem))
    others = [path for path in files if path not in dear]
    return [*([path] for path in dear), *(others[at : at + FILES] for at in range(0, len(others), FILES))]


Done = subprocess.CompletedProcess[bytes]


def run(share: Share, after: list[Future[Done]]) -> Done:
    """Run a share when others have ended; gives what pytest printed, and its exit code."""
    wait(after)
    command = [sys.executable, "-m", "pytest", *sys.argv[1:], *map(str, share)]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def main() -> int:
    """Run all; gives an exit code of pytest that is not 0, if there is one. What went wrong is shown last."""
    changing, beside, after = shares()
    wrong = []
    with ThreadPoolExecutor(AT_ONCE) as processes:
        first = processes.submit(run, changing, [])
        begun = [processes.submit(run, share, []) for share in beside]
        begun += [processes.submit(run, share, [first]) for share in after]
        for ended in as_completed([first, *begun]):
            done = ended.result()
            if done.returncode:
                wrong.append(done)
            else:
                show(done)
    for done in wrong:
        show(done)
    return wrong[0].returncode if wrong else 0


def show(done: subprocess.CompletedProcess[bytes]) -> None:
    """Show what a share printed."""
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

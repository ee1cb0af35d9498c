"""All tests, in two halves at the same time: much of what they take is waiting, and two CPUs are usual."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
APART = "test_mo"
"""System tests from this name on go into the other half, so that both take about as long."""


def halves() -> tuple[list[str], list[str]]:
    """Give pytest's arguments for each half; together they are all tests."""
    apart = [str(path) for path in sorted((TESTS / "system").glob("test_*.py")) if path.name >= APART]
    others = [path for path in sorted(TESTS.iterdir()) if path.name.startswith("test_") or _holds_tests(path)]
    return [str(TESTS / "system"), *(f"--ignore={path}" for path in apart)], [*map(str, others), *apart]


def _holds_tests(folder: Path) -> bool:
    return folder.name != "system" and any(folder.rglob("test_*.py"))


def main() -> int:
    """Run both, and tell of the second when both have ended; gives an exit code of pytest."""
    one, other = ([sys.executable, "-m", "pytest", *half] for half in halves())
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(other, stdout=said, stderr=subprocess.STDOUT) as beside:
            code = subprocess.run(one, check=False).returncode
            code = code or beside.wait()
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())

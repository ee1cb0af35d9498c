"""`./run mutants [NAME…]`: break each law in a copy of this checkout, and demand that its test notices."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mutants.mutant import ROOT, Mutant, apply, mutants

_PASSED, _FAILED = 0, 1  # pytest's exit codes; any other says that the test did not run
_PATIENCE_S = 900


def main() -> int:
    """Run the mutants that were named, or all; gives 0 when every one was killed."""
    chosen = _chosen()
    width = max(len(mutant.name) for mutant in chosen)
    sound: dict[str, str] = {}
    survived = 0
    for mutant in chosen:
        begun = time.monotonic()
        if mutant.test not in sound:
            sound[mutant.test] = _without_patch(mutant.test)
        outcome = sound[mutant.test] or _with_patch(mutant)
        survived += outcome != "killed"
        row = f"law {mutant.law}  {mutant.name:{width}}  {outcome:8}  {time.monotonic() - begun:4.0f} s  {mutant.test}"
        sys.stdout.write(row + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - survived} of {len(chosen)} killed\n")
    return 1 if survived else 0


def _chosen() -> list[Mutant]:
    known = {mutant.name: mutant for mutant in mutants()}
    parser = argparse.ArgumentParser(prog="./run mutants", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="files of tests/mutants, without .patch (default: all)"
    )
    names = parser.parse_args().names
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no mutant is called {unknown[0]}; there are: {', '.join(known)}")
    return [known[name] for name in names or known]


@contextmanager
def _copy() -> Iterator[Path]:
    """Give a copy of this checkout, without what can be made anew."""
    folder = Path(tempfile.mkdtemp(prefix="backout-mutant-", dir="/var/tmp"))
    left_out = shutil.ignore_patterns(".git", ".venv", ".uv", ".*_cache", ".hypothesis", "__pycache__", "_build")
    try:
        folder.chmod(0o755)  # tests that become another user read it, too
        shutil.copytree(ROOT, folder / "checkout", symlinks=True, ignore=left_out)
        yield folder / "checkout"
    finally:
        shutil.rmtree(folder)


def _without_patch(test: str) -> str:
    """Say what is wrong with a test that does not pass as it is: its failing would prove nothing."""
    with _copy() as checkout:
        return "" if _run(test, checkout) == _PASSED else "no proof: its test fails without the patch, too"


def _with_patch(mutant: Mutant) -> str:
    with _copy() as checkout:
        misfit = apply(mutant, checkout)
        if misfit:
            return f"does not apply any more: {misfit}"
        code = _run(mutant.test, checkout)
    return {_FAILED: "killed", _PASSED: "SURVIVED"}.get(code, f"no proof: pytest ended with {code}")


def _run(test: str, checkout: Path) -> int:
    """Run one test in a copy; gives pytest's exit code. A skipped test counts as failed, as in CI."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environ = {**os.environ, "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environ.pop("PYTHONPATH", None)
    done = subprocess.run(
        command,
        cwd=checkout,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_PATIENCE_S,
        check=False,
    )
    return done.returncode


sys.exit(main())

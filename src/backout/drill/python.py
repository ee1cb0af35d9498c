"""Which Python the shop gets: the one of the story is too old for some machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from backout.errors import NotPossibleError

# pkg_resources of setuptools 65.5.0 uses pkgutil.ImpImporter, which Python 3.12 removed; what `pip install -U` finds
# today needs 3.10; flask 2.2.5 uses pkgutil.get_loader, which 3.14 removed.
OLDEST, STORY_UNTIL, NEWEST = (3, 10), (3, 11), (3, 13)

_ASK = "import sys, ensurepip, json; print(json.dumps([sys._base_executable, *sys.version_info[:2]]))"


class Interpreter(NamedTuple):
    """A Python that can make virtualenvs with pip, by its real path (a version manager's shim is slow)."""

    path: str
    version: tuple[int, int]

    @property
    def as_in_the_story(self) -> bool:
        """Tell whether setuptools 65.5.0 works on it; on a newer one, base.txt takes 68.2.2."""
        return self.version <= STORY_UNTIL

    def __str__(self) -> str:
        """Give what a person calls it."""
        return f"Python {self.version[0]}.{self.version[1]} ({self.path})"


def choose_interpreter() -> Interpreter:
    """Find a Python for the shop: 3.11 or 3.10 before 3.12 and 3.13; NotPossibleError where there is none."""
    chosen = best(_found())
    if chosen is None:
        raise NotPossibleError(
            "The drill needs a Python from 3.10 to 3.13 that can make virtualenvs, and found none.",
            next="On Debian and Ubuntu: apt-get install python3-venv",
        )
    return chosen


def best(found: Iterable[Interpreter]) -> Interpreter | None:
    """Take the first that is as in the story, else the first that will do; None where none will."""
    usable = [interpreter for interpreter in found if OLDEST <= interpreter.version <= NEWEST]
    return next((interpreter for interpreter in usable if interpreter.as_in_the_story), next(iter(usable), None))


def _found() -> Iterator[Interpreter]:
    names = [shutil.which(name) for name in ("python3.11", "python3.10", "python3", "python3.12", "python3.13")]
    candidates = [sys.executable, "/usr/bin/python3", *(name for name in names if name)]
    for path in dict.fromkeys(candidates):
        found = _ask([path, "-I", "-c", _ASK]) if os.path.exists(path) else None
        if found:
            yield found


def _ask(command: Sequence[str]) -> Interpreter | None:
    """Ask an interpreter for its path and version; None when it has no ensurepip (Debian's, without python3-venv)."""
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if answer.returncode:
        return None
    path, major, minor = json.loads(answer.stdout)
    return Interpreter(path, (major, minor))

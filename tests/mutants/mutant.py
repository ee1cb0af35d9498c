"""A mutant: a patch that breaks one law, and the test that must turn red."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
_HEADER = re.compile(r"(?m)^(law|test|why): (.+)$")


class Mutant(NamedTuple):
    """One file of this folder: `law` is a number, `test` a pytest node id, `why` says what it does wrong."""

    name: str
    law: int
    test: str
    why: str
    patch: Path


def mutants() -> list[Mutant]:
    """Read all of them, by law; ValueError names a file whose heading is not whole."""
    return sorted((_read(path) for path in FOLDER.glob("*.patch")), key=lambda mutant: (mutant.law, mutant.name))


def _read(path: Path) -> Mutant:
    heading = dict(_HEADER.findall(path.read_text().partition("--- a/")[0]))
    if set(heading) != {"law", "test", "why"}:
        raise ValueError(f"{path.name} must begin with one line each of law:, test: and why:")
    return Mutant(path.stem, int(heading["law"]), heading["test"], heading["why"], path)


def apply(mutant: Mutant, root: Path, *, check: bool = False) -> str:
    """Patch a copy of the checkout; gives what git says when the patch does not fit, else nothing.

    With `check` nothing is changed.
    """
    command = ["git", "apply", *(["--check"] if check else []), str(mutant.patch)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stderr.strip()

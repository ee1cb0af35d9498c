"""The command line as an ordinary user has it: an own user id, an own home on the root file system, no privileges."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich

from kit.cli import SOURCE, Backout

USER = 61234
"""A user and group id that nobody on a test machine has."""
TEAM = 61300
"""A group that several could share."""


class UserBackout(Backout):
    """Runs `backout` as an ordinary user; `home` is theirs, and lies in a folder that is not."""

    def __init__(self, folder: Path, groups: str = "--clear-groups") -> None:
        super().__init__(folder)
        self.groups = groups
        self.home = folder / "home"
        self.home.mkdir()
        self.folder.rmdir()
        self.folder = self.home / "work"
        self.folder.mkdir()
        for path in (self.home, self.folder):
            os.chown(path, USER, USER)
        self.state = self.home / ".local/state/backout"
        self.environ = {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": ":".join(map(str, readable(folder))),
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        }

    def argv(self, *words: str) -> list[str]:
        """Give the command line that becomes the user and starts `backout`."""
        return [*self.become(), interpreter(), "-m", "backout", *words]

    def become(self) -> list[str]:
        """Give the words that make a command the user's."""
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", self.groups]

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script as the user, on the host itself."""
        return subprocess.run(
            [*self.become(), "sh", "-c", script],
            cwd=self.folder,
            env=self.environ,
            check=False,
            text=True,
            capture_output=True,
        )


def readable(folder: Path) -> list[Path]:
    """Give what is to be imported from where everybody may read: a checkout below /root is copied."""
    sources = [(SOURCE, ["backout"]), (Path(rich.__file__).parents[1], ["rich", "pygments", "markdown_it", "mdurl"])]
    found = []
    for source, names in sources:
        if _is_open(str(source)):
            found.append(source)
            continue
        for name in names:
            shutil.copytree(source / name, folder / "imported" / name)
        found.append(folder / "imported")
    return found


def interpreter() -> str:
    """Find a Python that everybody may execute: the one that runs the tests may lie in somebody's home."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        if _is_open(os.path.realpath(candidate)):
            return candidate
    raise RuntimeError("the tests need a Python that an ordinary user may execute")


def _is_open(path: str) -> bool:
    return all(os.stat(folder).st_mode & 1 for folder in [path, *map(str, Path(path).parents)])


@contextmanager
def user_backout(groups: str = "--clear-groups") -> Iterator[UserBackout]:
    """Give the command line of a user in a fresh folder of root's on the root file system."""
    folder = tempfile.mkdtemp(prefix="backout-test-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    try:
        yield UserBackout(Path(folder), groups)
    finally:
        shutil.rmtree(folder)

"""The packages of the story: locked by hash, fetched once into a folder of this machine, verified at each use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources

from backout.drill.process import must, run
from backout.errors import NotPossibleError

BASE, LATEST = "base.txt", "latest.txt"


def lock_text(name: str) -> str:
    """Read one of the two locks: requirements with the hashes of every file of that version."""
    return (resources.files("backout.drill") / "locks" / name).read_text()


def pinned(lock: str) -> str:
    """Give a lock without its hashes: what pip takes as constraints."""
    return "".join(line.removesuffix("\\").rstrip() + "\n" for line in lock.splitlines() if "==" in line)


def cache_folder(environ: Mapping[str, str]) -> str:
    """Name the folder where fetched wheels stay: $XDG_CACHE_HOME/backout/drill-wheels (XDG Base Directories)."""
    base = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "backout", "drill-wheels")


class Wheels:
    """The wheels that one drill uses: verified copies in `folder`, the drill's whole package index.

    `offline` is the environment in which pip reads no index of the operator's; `online` the one as it is.
    """

    def __init__(self, folder: str, cache: str, offline: Mapping[str, str], online: Mapping[str, str]) -> None:
        self.folder = folder
        self._cache = cache
        self._offline = offline
        self._online = online

    def collect(self, python: str, lock: str) -> bool:
        """Copy the wheels of a lock into `folder`, fetching them when the cache lacks one; tell whether it had to.

        pip verifies each against the lock, both times. NotPossibleError when they cannot be fetched.
        """
        os.makedirs(self._cache, exist_ok=True)
        base = [
            python,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
        ]
        base += ["--require-hashes", "--requirement", lock]
        from_cache = [*base, "--no-index", "--find-links", self._cache, "--dest", self.folder]
        if not run(from_cache, self._offline).exit_code:
            return False
        fetched = run([*base, "--dest", self._cache], self._online)
        if fetched.exit_code:
            raise NotPossibleError(
                f"The drill's packages could not be fetched: {fetched.errors.strip()}",
                next=f"Give this machine a way to a package index once; they are then kept in {self._cache}.",
            )
        must(from_cache, self._offline)
        return True

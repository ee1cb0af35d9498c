"""What this machine is like, for tests that use its real package manager: taken before and after, it must be equal."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

Listing = dict[str, tuple[Any, ...]]

_READ_WHOLE = ("/etc/", "/var/lib/dpkg/status", "/var/lib/apt/extended_states")
_NOT_OURS = ("__pycache__", ".pyc")
"""Byte code that any program of the machine may write at any time."""


def listing(*roots: str) -> Listing:
    """Describe every path below some folders by type, mode, owner, size, target and times; files of /etc by content.

    Sizes and times stand for the contents of the many files of /usr: reading gigabytes would take minutes.
    """
    shown: Listing = {}
    for root in roots:
        for folder, folders, names in os.walk(root):
            for path in (os.path.join(folder, name) for name in [*folders, *names]):
                if not any(mark in path for mark in _NOT_OURS):
                    shown[path] = _one(path)
    return shown


def differing(one: Listing, other: Listing) -> list[str]:
    """Name the paths that are not the same in both."""
    return sorted(path for path in {*one, *other} if one.get(path) != other.get(path))


def _one(path: str) -> tuple[Any, ...]:
    status = os.lstat(path)
    target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
    content = None
    if stat.S_ISREG(status.st_mode) and path.startswith(_READ_WHOLE):
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return (oct(status.st_mode), status.st_uid, status.st_gid, status.st_size, target, content, status.st_mtime_ns)


def installed(package: str) -> bool:
    """Tell whether a Debian package is installed, or left something behind."""
    asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout != "not-installed"


def absent(*packages: str) -> str:
    """Choose the first of some Debian packages that is not installed here."""
    return next(package for package in packages if not installed(package))

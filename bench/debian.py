"""What installing Debian packages takes, rehearsed and bare: both in a small Debian of their own, by chroot."""

from __future__ import annotations

import itertools
import shutil
import sys

from bench.contest import Contender, Contest, Place

_PACKAGES = ("git", "vim", "python3-flask")


class _Debian:
    """A minimal Debian with the packages in its cache, so that nothing is downloaded while it is measured."""

    def __init__(self, place: Place) -> None:
        if shutil.which("debootstrap") is None:
            sys.exit("The bench `apt` needs debootstrap: apt-get install --no-install-recommends debootstrap")
        self.place, self.root, self.copied = place, place.path("debian"), ""
        self._numbers = itertools.count()
        place.must("debootstrap", "--variant=minbase", "stable", self.root)
        place.must(*self.apt(self.root, "--download-only"))

    def apt(self, root: str, *options: str) -> list[str]:
        """Give the command line that installs the packages."""
        quietly = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "TMPDIR=/tmp"]
        words = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        return ["chroot", root, *quietly, *words, *options, *_PACKAGES]

    def copy(self) -> None:
        """Make a fresh copy under a name of its own, and have it on disk."""
        self.copied = self.place.path(f"debian-{next(self._numbers)}")
        self.place.must("cp", "-a", self.root, self.copied)
        self.place.must("sync")


def install(place: Place) -> Contest:
    """Compare a rehearsed `apt-get install` with a bare one in a copy."""
    debian = _Debian(place)
    contenders = [
        Contender(
            "rehearsed",
            lambda: place.backout("rehearse", "--network", "none", "--", *debian.apt(debian.root, "--no-download")),
            lambda: place.must("sync"),
        ),
        Contender("bare, in a copy", lambda: place.must(*debian.apt(debian.copied, "--no-download")), debian.copy),
    ]
    note = f"{', '.join(_PACKAGES)} with all they need, into a Debian of debootstrap's; dpkg flushes what it unpacks."
    return Contest("apt-get install", note, contenders)

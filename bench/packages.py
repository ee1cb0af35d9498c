"""What an upgrade of a virtualenv takes: rehearsed, taken back, and the bare way. Wheels are made on the spot."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import sys
import zipfile

from bench.contest import Contender, Contest, Place

_PACKAGES, _MODULES = 20, 60


def _wheel(folder: str, name: str, version: str) -> None:
    """Write a wheel as the binary distribution format describes it, with a RECORD that holds."""
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/m{number}.py": f"VALUE = {number!r}, {version!r}\n" * 20 for number in range(_MODULES)}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{path},sha256={_hash(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(os.path.join(folder, f"{name}-{version}-py3-none-any.whl"), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class _Shop:
    """A virtualenv with the old versions, and wheels of the old and the new ones."""

    def __init__(self, place: Place) -> None:
        self.place, self.wheels, self.copied = place, place.path("wheels"), ""
        self._numbers = itertools.count()
        self.names = [f"bench_pkg{number}" for number in range(_PACKAGES)]
        if not os.path.isdir(self.wheels):
            os.mkdir(self.wheels)
            for name in self.names:
                _wheel(self.wheels, name, "1.0")
                _wheel(self.wheels, name, "2.0")
            self.build(place.path("venv"))

    def build(self, folder: str) -> None:
        """Build the virtualenv from nothing, with the old versions."""
        self.place.must(os.path.realpath(sys.executable), "-m", "venv", folder)
        self.place.must(*self.pip(folder, *(f"{name}==1.0" for name in self.names)))

    def pip(self, folder: str, *words: str) -> list[str]:
        """Give the command line of an installation from the local wheels alone."""
        options = ["install", "--quiet", "--no-index", "--disable-pip-version-check", "--find-links", self.wheels]
        return [os.path.join(folder, "bin", "python"), "-m", "pip", *options, *words]

    def upgrade(self, folder: str) -> list[str]:
        """Give the command line that upgrades everything."""
        return self.pip(folder, "-U", *self.names)

    def fresh(self) -> str:
        """Name a folder of its own for every round: ext4 is slow to give out inodes that were freed a moment ago."""
        return self.place.path(f"venv-{next(self._numbers)}")

    def copy(self) -> None:
        """Make a fresh copy of the virtualenv, and have it on disk."""
        self.copied = self.fresh()
        self.place.must("cp", "-a", self.place.path("venv"), self.copied)
        os.sync()


def upgrade(place: Place) -> Contest:
    """Compare a rehearsed `pip install -U` with a bare one on a copy."""
    shop = _Shop(place)
    venv = place.path("venv")
    contenders = [
        Contender("rehearsed", lambda: place.backout("rehearse", "--network", "none", "--", *shop.upgrade(venv))),
        Contender("bare, on a copy", lambda: place.must(*shop.upgrade(shop.copied)), shop.copy),
    ]
    note = f"{_PACKAGES} packages of {_MODULES} modules each, from local wheels; pip compiles them to byte code."
    return Contest("pip install -U", note, contenders)


def back(place: Place) -> Contest:
    """Compare taking back an upgrade with building the virtualenv anew from local wheels."""
    shop = _Shop(place)
    venv = place.path("venv")
    contenders = [
        Contender(
            "backout back",
            lambda: place.backout("back"),
            lambda: place.backout("run", "--yes", "--network", "none", "--", *shop.upgrade(venv)),
        ),
        Contender("building the virtualenv anew", lambda: shop.build(shop.fresh())),
    ]
    note = "The same upgrade. What is rebuilt has the pinned versions at hand, which is the best case of that way."
    return Contest("Going back", note, contenders)

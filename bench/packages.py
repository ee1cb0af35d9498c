"""What an upgrade of a virtualenv takes: rehearsed, taken back, and the bare way. The wheels are PyPI's."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence

from backout.drill.wheels import BASE, LATEST, lock_text, pinned
from bench.contest import Contender, Contest, Place

OLD = (
    "boto3==1.26.0 celery==5.2.7 django==4.2.1 flask==2.3.0 pillow==9.5.0 requests==2.28.0 setuptools==65.5.1 "
    "sqlalchemy==2.0.10"
)
NEW = (
    "boto3==1.34.0 celery==5.4.0 django==5.0.6 flask==3.0.3 pillow==10.3.0 requests==2.32.3 setuptools==70.0.0 "
    "sqlalchemy==2.0.30"
)


class Shop:
    """A virtualenv with the old versions, and wheels of the old and the new ones with all that they need."""

    def __init__(self, place: Place, name: str, old: Sequence[str], new: Sequence[str], *options: str) -> None:
        self.place, self.name, self.copied = place, name, ""
        self.pins = old, new
        self._numbers = itertools.count()
        self.old, self.new = place.path(f"{name}-wheels-old"), place.path(f"{name}-wheels-new")
        self.venv = place.path(name)
        if not os.path.isdir(self.old):
            python = os.path.join(self._bare(place.path(f"{name}-loader")), "bin", "python")
            for folder, pins in zip((self.old, self.new), self.pins, strict=True):
                common = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--dest", folder]
                place.must(python, "-m", "pip", "download", *common, *options, *pins)
            self.build(self.venv)

    def _bare(self, folder: str) -> str:
        self.place.must(os.path.realpath(sys.executable), "-m", "venv", folder)
        return folder

    def build(self, folder: str) -> None:
        """Build the virtualenv from nothing, with the old versions."""
        self.place.must(*self.pip(self._bare(folder), self.old, *self.pins[0]))

    @staticmethod
    def pip(folder: str, wheels: str, *words: str) -> list[str]:
        """Give the command line of an installation from local wheels alone."""
        options = ["install", "--quiet", "--no-index", "--disable-pip-version-check", "--find-links", wheels]
        return [os.path.join(folder, "bin", "python"), "-m", "pip", *options, *words]

    def upgrade(self, folder: str) -> list[str]:
        """Give the command line that upgrades everything."""
        return self.pip(folder, self.new, "--find-links", self.old, "-U", "--upgrade-strategy", "eager", *self.pins[1])

    def fresh(self) -> str:
        """Name a folder of its own for every round: ext4 is slow to give out inodes that were freed a moment ago."""
        return self.place.path(f"{self.name}-{next(self._numbers)}")

    def copy(self) -> None:
        """Make a fresh copy of the virtualenv, and have it on disk."""
        self.copied = self.fresh()
        self.place.must("cp", "-a", self.venv, self.copied)
        os.sync()


def upgrade(place: Place) -> Contest:
    """Compare a rehearsed `pip install -U` with a bare one on a copy."""
    shop = Shop(place, "shop", OLD.split(), NEW.split())
    contenders = [
        Contender(
            "rehearsed", lambda: place.backout("rehearse", "--network", "none", "--", *shop.upgrade(shop.venv)), os.sync
        ),
        Contender("bare, on a copy", lambda: place.must(*shop.upgrade(shop.copied)), shop.copy),
    ]
    note = f"{NEW} with all they need, over older ones, from local wheels; pip compiles them to byte code."
    return Contest("pip install -U", note, contenders)


def back(place: Place) -> Contest:
    """Compare taking back an upgrade with building the virtualenv anew from local wheels."""
    old, new = (pinned(lock_text(name)).splitlines() for name in (BASE, LATEST))
    shop = Shop(place, "drill", old, new, "--no-deps")
    contenders = [
        Contender(
            "backout back",
            lambda: place.backout("back"),
            lambda: place.backout("run", "--yes", "--network", "none", "--", *shop.upgrade(shop.venv)),
        ),
        Contender("building the virtualenv anew", lambda: shop.build(shop.fresh())),
    ]
    note = "The drill's upgrade. What is rebuilt has the pinned versions at hand, which is the best case of that way."
    return Contest("Going back", note, contenders)

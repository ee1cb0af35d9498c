"""The drill's folder: a production, a copy of it, and a staging that is not the same."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import NamedTuple

from backout.drill.process import must
from backout.drill.python import Interpreter
from backout.drill.wheels import BASE, LATEST, Wheels, cache_folder, lock_text, pinned
from backout.errors import FailedError, UsageError

PRODUCTION, COPY, STAGING = "production", "copy", "staging"

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@~-]+")
_MOVING = {"run", "__pycache__"}


class World(NamedTuple):
    """One drill's folder, the interpreter of its virtualenvs, and whether pip asks the operator's index (`live`)."""

    folder: str
    python: Interpreter
    live: bool

    def path(self, *names: str) -> str:
        """Give the path of something in the drill's folder."""
        return os.path.join(self.folder, *names)

    @property
    def wheels(self) -> Wheels:
        """The packages of this drill."""
        environ = dict(os.environ)
        return Wheels(self.path("index"), cache_folder(environ), without_pip_settings(environ), environ)

    def environ(self) -> dict[str, str]:
        """Give the environment for every command of the drill: backout's record goes into the drill's folder, too."""
        environ = dict(os.environ) if self.live else without_pip_settings(os.environ)
        environ.pop("VIRTUAL_ENV", None)
        environ["BACKOUT_STATE"] = self.path("backout", "host")
        environ["XDG_STATE_HOME"] = self.path("backout", "state")
        return environ


def without_pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what the operator tells pip: it would win over the shop's own pip.conf."""
    return {name: value for name, value in environ.items() if not name.startswith("PIP_")}


def make_folder(chosen: str | None) -> str:
    """Make the drill's folder: `chosen`, which must be new or empty, or one under $TMPDIR or /var/tmp, on a disk.

    A UsageError says what is wrong with the chosen one.
    """
    if chosen is None:
        base = os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 - mkdtemp makes a name that nobody can guess
        folder = os.path.realpath(tempfile.mkdtemp(prefix="backout-drill-", dir=base))
    else:
        folder = os.path.realpath(chosen)
        if not _PLAIN_PATH.fullmatch(folder):
            raise UsageError(f"The drill's scripts need a folder of plain letters and digits: {folder!r}.")
        if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
            raise UsageError(f"{folder} is there already, and is not an empty folder.", next="Name a new one.")
        os.makedirs(folder, exist_ok=True)
    # Puppet and the shop look like anybody's: readable to all, as /srv is.
    os.chmod(folder, 0o755)  # noqa: S103 - nothing in it is secret
    return folder


def lay_out(world: World) -> bool:
    """Build production and verify the packages; tell whether they had to be fetched."""
    shop = world.path(PRODUCTION)
    os.makedirs(os.path.join(shop, "run"))
    write(shop, "app.py", shop)
    write(shop, "requirements.txt", shop)
    write(shop, "gunicorn.conf.py", shop)
    os.chmod(write(shop, "shopctl", shop), 0o755)  # noqa: S103 - a command
    for lock in (BASE, LATEST):
        with open(world.path(lock), "w", encoding="utf-8") as file:
            file.write(lock_text(lock))
    make_virtualenv(world, shop)
    python = os.path.join(shop, "venv/bin/python")
    fetched = world.wheels.collect(python, world.path(BASE))
    if not world.live:
        fetched |= world.wheels.collect(python, world.path(LATEST))
    configure_pip(world, shop)
    install_old_set(world, shop)
    return fetched


def make_virtualenv(world: World, shop: str) -> None:
    """Make a virtualenv with nothing but pip in it."""
    must([world.python.path, "-m", "venv", os.path.join(shop, "venv")], world.environ())


def configure_pip(world: World, shop: str) -> None:
    """Let a shop's pip know only the drill's wheels; with --live, whatever the operator's does."""
    with open(os.path.join(shop, "venv/pip.conf"), "w", encoding="utf-8") as file:
        file.write("[global]\ndisable-pip-version-check = true\n")
        if not world.live:
            file.write(f"no-index = true\nfind-links = {world.path('index')}\n")


def install_old_set(world: World, shop: str) -> None:
    """Install what production ran for years, each wheel verified."""
    pip = [os.path.join(shop, "venv/bin/python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    must([*pip, "--find-links", world.path("index"), "--require-hashes", "-r", world.path(BASE)], world.environ())


def copy_shop(world: World, name: str) -> str:
    """Copy production; a virtualenv names its own path in its scripts, so that these are rewritten."""
    old, new = world.path(PRODUCTION), world.path(name)
    shutil.copytree(old, new, symlinks=True)
    names_its_path = [os.path.join(new, "shopctl"), os.path.join(new, "venv/pyvenv.cfg")]
    bin_folder = os.path.join(new, "venv/bin")
    names_its_path += [entry.path for entry in os.scandir(bin_folder) if entry.is_file(follow_symlinks=False)]
    for path in names_its_path:
        with open(path, "rb+") as file:
            content = file.read()
            file.seek(0)
            file.truncate()
            file.write(content.replace(os.fsencode(old), os.fsencode(new)))
    return new


def make_staging(world: World) -> str:
    """Copy production, and pin the packages there, as somebody did once and told nobody."""
    shop = copy_shop(world, STAGING)
    pins = os.path.join(shop, "constraints.txt")
    with open(pins, "w", encoding="utf-8") as file:
        file.write("# Somebody pinned these on staging, once, and told nobody.\n" + pinned(lock_text(BASE)))
    with open(os.path.join(shop, "venv/pip.conf"), "a", encoding="utf-8") as file:
        file.write(f"[install]\nconstraint = {pins}\n")
    return shop


def write(folder: str, name: str, shop: str, template: str | None = None, **more: str) -> str:
    """Write a file of the drill from its template in the package; `@SHOP@` and the like become what they stand for."""
    text = (resources.files("backout.drill") / "shop" / f"{template or name}.in").read_text()
    for word, value in {"shop": shop, **more}.items():
        text = text.replace(f"@{word.upper()}@", value)
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def fingerprint(shop: str) -> dict[str, str]:
    """Give every path of a shop with its owner, mode, time of change and content; byte code and run files left out."""
    return dict(_prints(shop))


def _prints(folder: str) -> Iterator[tuple[str, str]]:
    for entry in os.scandir(folder):
        if entry.name in _MOVING:
            continue
        status = entry.stat(follow_symlinks=False)
        kind = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
        if entry.is_symlink():
            yield entry.path, f"{kind} -> {os.readlink(entry.path)}"
        elif entry.is_dir():
            yield entry.path, kind
            yield from _prints(entry.path)
        else:
            with open(entry.path, "rb") as file:
                yield entry.path, f"{kind} {status.st_mtime_ns} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def version_of(shop: str, package: str) -> str:
    """Ask a shop's virtualenv which version of a package it has, by its folder names (PEP 376), without running it."""
    found = [
        name
        for folder, names, _ in os.walk(os.path.join(shop, "venv/lib"))
        if os.path.basename(folder) == "site-packages"
        for name in names
        if name.lower().startswith(f"{package}-") and name.endswith(".dist-info")
    ]
    if len(found) != 1:
        raise FailedError(f"{shop} should have one {package}, and has {found}.")
    return found[0].removesuffix(".dist-info").partition("-")[2]

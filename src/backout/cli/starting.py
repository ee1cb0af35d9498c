"""`backout init`: look around, and write a commented backout.toml."""

from __future__ import annotations

import os
import stat
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from backout.cli.screens import put, put_json
from backout.config.template import Found, render_template
from backout.errors import FailedError, RefusedError

_PLACES = ("/srv", "/opt", "/var/www", "/home")
_DEPTH = 3


def write_config(options: Namespace) -> int:
    """Write backout.toml in the working directory; one that is there is kept unless --force is given."""
    path = Path(options.config or "backout.toml")
    if path.exists() and not options.force:
        raise RefusedError(f"{path} is there already.", next="backout init --force overwrites it.")
    text = render_template(look_around(Path.cwd()))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FailedError(f"{path} cannot be written: {error.strerror}.") from None
    if options.json:
        put_json({"schema": "backout.init/1", "path": str(path.resolve())})
    else:
        put(f"Wrote {path}. Read it, then try: backout rehearse -- true\n")
    return 0


def look_around(folder: Path) -> Found:
    """Find virtualenvs, requirements files and enabled services in the usual places; nothing is changed."""
    roots = [folder, *(Path(place) for place in _PLACES)]
    seen = dict.fromkeys(path for root in roots for path in _below(root, _DEPTH))
    virtualenvs = [path.parent for path in seen if path.name == "pyvenv.cfg"]
    ours = [path for path in virtualenvs if _only_ours(path)]
    requirements = [str(path) for path in seen if path.name.startswith("requirements") and path.suffix == ".txt"]
    return Found(
        services=tuple(_services()),
        virtualenvs=tuple(map(str, ours)),
        requirements=tuple(requirements),
        without_pip=tuple(str(path) for path in ours if not _pip_of(path)),
        foreign=tuple(str(path) for path in virtualenvs if path not in ours),
    )


def _only_ours(virtualenv: Path) -> bool:
    """Tell whether nobody but us and root may change what runs there, by the rule of `config.find` for the file itself.

    Whoever owns a folder on the way to it could put another one in its place.
    """
    inside = (virtualenv, virtualenv / "bin", virtualenv / "bin" / "python", *_pip_of(virtualenv))
    try:
        there = {path.resolve() for path in inside if os.path.lexists(path)} | {
            path.parent.resolve() for path in inside
        }
        found = [part.stat() for path in there for part in (path, *path.parents)]
        return all(map(_is_ours, found)) and (virtualenv / "bin" / "python").lstat().st_uid in (0, os.geteuid())
    except (OSError, RuntimeError):  # a link that leads nowhere, or in a circle
        return False


def _is_ours(found: os.stat_result) -> bool:
    kept = not found.st_mode & stat.S_IWOTH or bool(found.st_mode & stat.S_ISVTX)
    return found.st_uid in (0, os.geteuid()) and kept


def _pip_of(virtualenv: Path) -> list[Path]:
    return sorted(virtualenv.glob("lib/python3*/site-packages/pip"))


def _below(root: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        elif (
            depth > 0
            and entry.is_dir(follow_symlinks=False)
            and entry.name not in ("node_modules", "lib", "lib64", ".git")
        ):
            yield from _below(Path(entry.path), depth - 1)


def _services() -> Iterator[str]:
    wants = Path("/etc/systemd/system/multi-user.target.wants")
    if sys.platform == "linux" and wants.is_dir():
        for link in sorted(wants.glob("*.service")):
            if str(link.resolve()).startswith("/etc/systemd/system/"):
                yield link.stem

"""Python environments: found by a walk over the machine's own disks, and held against what their RECORDs list."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat as st
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from backout.host.facts.ground import DISKS, PSEUDO, Ground
from backout.host.facts.known import Known, forget
from backout.host.facts.looking import Looking
from backout.host.facts.walk import STAGE
from backout.host.facts.watched import file_value
from backout.host.tree import Parents
from backout.lens import wheel
from backout.model.fact import Fact

_SITES = ("site-packages", "dist-packages")
_INFO = (".dist-info", ".egg-info")
_STORES = re.compile(r"/var/lib/(?:docker|containers|containerd|kubelet|machines|flatpak|lxc|lxd|snapd|incus)|/snap")
"""Where other systems lie: what is installed in an image is not installed here."""
_SKIPPED = frozenset(("__pycache__", ".git"))
_VERSION = re.compile(r"^version(?:_info)?\s*=\s*(\d+(?:\.\d+){0,2})", re.MULTILINE)
_OF_FOLDER = re.compile(r"/lib(?:64)?/(?:python|pypy)(\d[^/]*)/(?:site|dist)-packages$")


class Environment(NamedTuple):
    """One prefix: the version of its interpreter, its packages, and the files that are not what RECORD says."""

    prefix: str
    version: str
    packages: dict[str, str]
    odd: list[Fact]


def survey(looking: Looking, on: Ground) -> list[Environment]:
    """Find every environment on this machine's own disks, and hold it against its RECORDs."""
    prefixes: dict[str, list[wheel.Info]] = {}
    for folder, is_environment, infos in _found(looking, on):
        if is_environment:
            prefixes.setdefault(folder, [])
        for name in infos:
            info = wheel.info_of(os.fsencode(f"{folder}/{name}"))
            if info is not None:
                prefixes.setdefault(os.fsdecode(info.prefix), []).append(info)
    areas = {prefix: "python-" + hashlib.sha256(os.fsencode(prefix)).hexdigest()[:32] for prefix in prefixes}
    forget(os.fsencode(looking.state) + b"/known", "python-", set(areas.values()))
    return [_environment(looking, on, prefix, infos, areas[prefix]) for prefix, infos in sorted(prefixes.items())]


def _found(looking: Looking, on: Ground) -> Iterator[tuple[str, bool, list[str]]]:
    """Walk all folders; give those that are an environment, or hold packages, with the packages' own folders.

    A folder in which no name came or went is not listed again.
    """
    twins = on.twins()
    _tell_left_out(looking, on, twins)
    steady = on.on("/") in DISKS
    with looking.recall("folders") as known:
        stack = ["/"]
        while stack:
            path = stack.pop()
            folders, is_environment, infos = _listed(looking, known if steady else None, path)
            if is_environment or infos:
                yield path, is_environment, infos
            below = [f"{path.rstrip('/')}/{name}" for name in folders]
            stack += [child for child in reversed(below) if _is_walked(looking, on, child, twins)]


def _listed(looking: Looking, known: Known | None, path: str) -> tuple[list[str], bool, list[str]]:
    try:
        status = os.lstat(path)
        value = known.recall(path, status) if known is not None else None
        if value is None:
            value = _names(path)
            if known is not None:
                known.keep(path, status, value)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            looking.unread(path, error)
        return [], False, []
    folders, is_environment, infos = value
    return folders, bool(is_environment), infos


def _names(path: str) -> list[Any]:
    """List a folder: the folders to go on with, whether it is an environment, and packages' own folders."""
    with os.scandir(path) as entries:
        if path.endswith(_SITES):
            return [[], 0, sorted(entry.name for entry in entries if entry.name.endswith(_INFO))]
        folders, is_environment = [], 0
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED:
                    folders.append(entry.name)
            elif entry.name == "pyvenv.cfg":
                is_environment = 1
    return [sorted(folders), is_environment, []]


def _is_walked(looking: Looking, on: Ground, path: str, twins: set[str]) -> bool:
    if path in on.points and (on.points[path].kind not in DISKS or path in twins):
        return False
    if _STORES.fullmatch(path):
        looking.limit(f"Python environments in images under {path} are not told.")
        return False
    folder, _, name = path.rpartition("/")
    return path != looking.state and not (STAGE.fullmatch(name) and (folder or "/") in on.points)


def _tell_left_out(looking: Looking, on: Ground, twins: set[str]) -> None:
    """Name the file systems that are not searched: those of other machines, and those that we know nothing of."""
    left = [
        f"{point} ({os.fsdecode(mount.kind)})"
        for point, mount in on.points.items()
        if mount.kind not in DISKS | PSEUDO and point not in twins and point != "/"
    ]
    if left:
        looking.limit(f"Python environments were not looked for on {', '.join(left)}.")


def _environment(looking: Looking, on: Ground, prefix: str, infos: list[wheel.Info], area: str) -> Environment:
    packages: dict[str, set[str]] = {}
    listed: dict[str, str | None] = {}
    for info in infos:
        metadata, record = _own_words(looking, info)
        about = wheel.identity(info, metadata)
        packages.setdefault(about.name, set()).add(about.version)
        for path, digest in wheel.record_entries(info, record).items():
            listed[os.fsdecode(path)] = digest
    odd = _odd(looking, on, listed, area) if listed else []
    shown = {name: ", ".join(sorted(versions)) for name, versions in packages.items()}
    return Environment(prefix, _version(looking, prefix, infos), shown, odd)


def _own_words(looking: Looking, info: wheel.Info) -> tuple[bytes, bytes]:
    """Read what a package says of itself, and which files are its own."""
    own = os.fsdecode(info.path)
    if own.endswith(".egg-info"):
        return looking.read(own + "/PKG-INFO") or looking.read(own) or b"", b""
    return looking.read(own + "/METADATA") or b"", looking.read(os.fsdecode(info.record)) or b""


def _version(looking: Looking, prefix: str, infos: list[wheel.Info]) -> str:
    """Tell an interpreter's version without running it: it may be anybody's program."""
    noted = _VERSION.search((looking.read(f"{prefix}/pyvenv.cfg") or b"").decode("utf-8", "replace"))
    if noted:
        return noted[1]
    if prefix == sys.base_prefix:
        return ".".join(map(str, sys.version_info[:3]))
    folders = [_OF_FOLDER.search(os.fsdecode(info.site)) for info in infos]
    return ", ".join(sorted({found[1] for found in folders if found})) or "unknown"


def _odd(looking: Looking, on: Ground, listed: dict[str, str | None], area: str) -> list[Fact]:
    """Give the files that are not what RECORD says, missing ones too; byte code, which lists no hash, is left out."""
    found, others = [], 0
    steady = on.on(next(iter(listed))) in DISKS
    parents = Parents()
    with looking.recall(area) as known:
        for path in sorted(listed, key=lambda path: path.split("/")):
            digest = listed[path]
            others += digest == "unknown"
            if digest is not None and digest != "unknown":
                value = _value(looking, known if steady else None, parents, path)
                if value is not None and value.get("sha256") != digest:
                    found.append(Fact("file", path, value))
    parents.close()
    if others:
        looking.limit(f"{others} files are listed with a hash other than SHA-256, and were not held against it.")
    return found


def _value(looking: Looking, known: Known | None, parents: Parents, path: str) -> Any:
    """Give what is at a listed path; None where it cannot be told."""
    try:
        name = parents.name(os.fsencode(path))
        status = name.lstat()
    except (FileNotFoundError, NotADirectoryError):
        status = None
    except OSError as error:
        looking.unread(path, error)
        return None
    if status is None:
        return {"type": "missing"}
    is_file = st.S_ISREG(status.st_mode)
    looking.seen += is_file
    value = known.recall(path, status) if known is not None else None
    if value is not None:
        looking.known += is_file
        return value
    read = file_value(looking, name, path, status)
    if read is None:
        return {"type": "missing"}
    status, value = read
    if is_file and value.get("sha256") is None:
        return None  # unread, which the limits say
    if known is not None:
        known.keep(path, status, value)
    return value

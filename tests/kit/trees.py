"""Two trees as dictionaries and the view of them, the one double that the lens tests use; snapshots of real ones."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Union

from backout.lens.meaning import Meaning, explain
from backout.model.effect import RawEffect
from backout.model.service import ServiceRequest, ServiceState
from backout.model.state import State

Entry = Union[bytes, State, tuple[bytes, State]]  # noqa: UP007 - evaluated on Python 3.9, too
Tree = Mapping[str, Entry]
DIR = State("dir", 0o755, 0, 0)


def link(target: str) -> State:
    """A symlink."""
    return State("symlink", 0o777, 0, 0, target=target.encode())


def regular(content: bytes, mode: int = 0o644, mtime_ns: int = 0) -> State:
    """The state of a regular file of root's with this content."""
    return State("file", mode, 0, 0, len(content), hashlib.sha256(content).hexdigest(), mtime_ns=mtime_ns)


def state_of(entry: Entry) -> State:
    """The state of a tree's entry: given, or that of a regular file with the bytes given."""
    if isinstance(entry, bytes):
        return regular(entry)
    return entry if isinstance(entry, State) else entry[1]


def path_of(name: str) -> bytes:
    """The bytes of a path, surrogates and all."""
    return name.encode("utf-8", "surrogateescape")


class TreeView:
    """A view over two trees; `services` are the states that the host knows."""

    def __init__(
        self,
        before: Tree,
        after: Tree,
        requests: tuple[ServiceRequest, ...] = (),
        services: Mapping[str, ServiceState] | None = None,
    ) -> None:
        self._before = {path_of(name): entry for name, entry in before.items()}
        self._after = {path_of(name): entry for name, entry in after.items()}
        self._services = services or {}
        self.requests = requests

    @property
    def raw(self) -> dict[bytes, RawEffect]:
        """What is different, as a scan would give it."""
        found = {}
        for path in sorted(self._before.keys() | self._after.keys()):
            sides = [state_of(tree[path]) if path in tree else None for tree in (self._before, self._after)]
            if sides[0] != sides[1]:
                found[path] = RawEffect(path, *sides)
        return found

    def before(self, path: bytes) -> bytes | None:
        """A regular file's content before."""
        return _content(self._before.get(path))

    def after(self, path: bytes) -> bytes | None:
        """A regular file's content after."""
        return _content(self._after.get(path))

    def names_before(self, path: bytes) -> list[bytes]:
        """A folder's names before."""
        return _names(self._before, path)

    def names_after(self, path: bytes) -> list[bytes]:
        """A folder's names after."""
        return _names(self._after, path)

    def service(self, unit: str) -> ServiceState:
        """What the host knows of a unit."""
        return self._services.get(unit, ServiceState())


def _content(entry: Entry | None) -> bytes | None:
    if isinstance(entry, bytes):
        return entry
    return entry[0] if isinstance(entry, tuple) and not isinstance(entry, State) else None


def _names(tree: Mapping[bytes, Entry], path: bytes) -> list[bytes]:
    prefix = path.rstrip(b"/") + b"/"
    return sorted({name[len(prefix) :].split(b"/")[0] for name in tree if name.startswith(prefix)})


def snapshot(root: Path, shown_as: str = "") -> dict[str, Entry]:
    """What truly lies below a folder, under the name that the view is to see it by."""
    tree: dict[str, Entry] = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder) / name
            tree[shown_as + "/" + str(path.relative_to(root))] = _real(path)
    return tree


def _real(path: Path) -> Entry:
    status = path.lstat()
    state = State("dir", stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime_ns=status.st_mtime_ns)
    if path.is_symlink():
        return state._replace(type="symlink", target=os.fsencode(os.readlink(path)))
    if not path.is_file():
        return state
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return content, state._replace(type="file", size=len(content), sha256=digest)


def accounted(view: TreeView) -> Meaning:
    """Explain a view's raw effects, and hold the result against law 2: every path in an effect or in one noise row."""
    meaning = explain(view.raw, view)
    told = {path for effect in meaning.effects for path in effect.paths}
    noise = [row.path for row in meaning.noise]
    assert told | set(noise) == set(view.raw)
    assert len(noise) == len(set(noise))
    assert told.isdisjoint(noise)
    return meaning


def named(meaning: Meaning) -> dict[str, tuple[str, object, object]]:
    """The effects as `kind:subject` -> (op, before, after)."""
    return {f"{e.kind}:{e.subject}": (e.op, e.before, e.after) for e in meaning.effects}

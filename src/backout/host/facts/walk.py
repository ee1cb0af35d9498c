"""Walks over the live file system that never follow a link, in the order of facts, and know what they walk on."""

from __future__ import annotations

import os
import re
import stat as st
from collections.abc import Iterator
from typing import NamedTuple

from backout.host.facts.ground import DISKS, PSEUDO, Ground
from backout.host.facts.looking import Looking
from backout.host.tree import Name, open_directory, open_path

STAGE = re.compile(r"\.backout(-\d+)?")
"""The name of a stage at the root of a file system (`host.stage`)."""


class Met(NamedTuple):
    """What a walk met. `name` is valid until the walk goes on; `steady`: what is known of it may be believed."""

    path: str
    name: Name
    status: os.stat_result
    steady: bool


class Walk:
    """Walks the watched paths, sorted; what cannot be walked is said in the look's limits."""

    def __init__(self, looking: Looking, on: Ground) -> None:
        self._looking, self._ground = looking, on

    def __iter__(self) -> Iterator[Met]:
        """Give all that is under `watch`, parents first."""
        for root in self._looking.watch:
            yield from self._from(root)

    def _from(self, root: str) -> Iterator[Met]:
        """Walk one root, reached by whatever links lead to its folder."""
        parent, _, last = os.path.realpath(os.path.dirname(root)).rstrip("/"), "", os.path.basename(root)
        try:
            descriptor = open_path(os.fsencode(parent or "/"), through=True)
        except OSError as error:
            self._looking.unread(root, error)
            return
        try:
            name = Name(descriptor, os.fsencode(last or "."))
            status = self._status(root, name)
            if status is None:
                self._looking.limit(f"{root} is watched, and not there.")
                return
            if st.S_ISLNK(status.st_mode):
                self._looking.limit(f"{root} is watched, and a link: what it leads to is not looked at.")
            kind = self._ground.on(f"{parent}/{last}")
            yield Met(root, name, status, kind in DISKS)
            if st.S_ISDIR(status.st_mode):
                yield from self._below(root, name, kind)
        finally:
            os.close(descriptor)

    def _below(self, root: str, top: Name, kind: bytes) -> Iterator[Met]:
        stack = self._opened([], root, top, kind)
        try:
            while stack:
                path, descriptor, left, kind = stack[-1]
                if not left:
                    os.close(stack.pop()[1])
                    continue
                name = Name(descriptor, os.fsencode(left.pop()))
                child = f"{path.rstrip('/')}/{os.fsdecode(name.name)}"
                status = self._status(child, name)
                if status is None or self._is_ours(child, path):
                    continue
                own = self._ground.points[child].kind if child in self._ground.points else kind
                yield Met(child, name, status, own in DISKS)
                if st.S_ISDIR(status.st_mode) and self._is_walked(child, own):
                    stack = self._opened(stack, child, name, own)
        finally:
            for _, descriptor, _, _ in stack:
                os.close(descriptor)

    def _opened(
        self, stack: list[tuple[str, int, list[str], bytes]], path: str, name: Name, kind: bytes
    ) -> list[tuple[str, int, list[str], bytes]]:
        try:
            descriptor = open_directory(name)
        except OSError as error:  # too deep for as many open folders as there may be, or not ours to list
            self._looking.unread(path, error)
            return stack
        try:
            found = sorted(os.listdir(descriptor), reverse=True)
        except OSError as error:
            self._looking.unread(path, error)
            found = []
        return [*stack, (path, descriptor, found, kind)]

    def _status(self, path: str, name: Name) -> os.stat_result | None:
        try:
            return name.lstat()
        except OSError as error:  # a mount that has lost its other end
            self._looking.unread(path, error)
            return None

    def _is_ours(self, child: str, parent: str) -> bool:
        """Leave out what is backout's own: the state folder, and the stages at the roots of file systems."""
        if child == self._looking.state:
            self._looking.limit(f"{child} is backout's own, and left out.")
            return True
        return STAGE.fullmatch(os.path.basename(child)) is not None and (parent in self._ground.points)

    def _is_walked(self, path: str, kind: bytes) -> bool:
        if kind in PSEUDO:
            self._looking.limit(f"What the kernel shows at {path} ({os.fsdecode(kind)}) is left out.")
        return kind not in PSEUDO

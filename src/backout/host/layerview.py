"""The before and after of a host, for lenses: the live tree, and the upper layers over it."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Mapping

from backout.host.scan import Scan, is_whiteout
from backout.host.tree import Parents, names, open_file, open_path
from backout.model.service import ServiceRequest, ServiceState


class LayerView:
    """Implements `backout.lens.View` over live tree and upper layers; reads only."""

    def __init__(
        self, scanned: Scan, requests: tuple[ServiceRequest, ...], services: Mapping[str, ServiceState]
    ) -> None:
        """Look through the scan; `services` are the states before the rehearsal."""
        self.requests = requests
        self._scan = scanned
        self._services = services
        self._children: dict[bytes, list[bytes]] | None = None

    def service(self, unit: str) -> ServiceState:
        """Tell a unit's state before the rehearsal."""
        return self._services.get(unit, ServiceState())

    def before(self, path: bytes) -> bytes | None:
        """Read a live file."""
        return content(path)

    def after(self, path: bytes) -> bytes | None:
        """Read a file as the command left it."""
        effect = self._scan.raw.get(path)
        if effect is None:
            return content(path) if not self._hidden(path) else None
        upper = self._scan.upper(path)
        if effect.after is None or effect.after.type != "file" or upper is None:
            return None
        return content(upper)

    def names_before(self, path: bytes) -> list[bytes]:
        """List a live directory."""
        return _names(path)

    def names_after(self, path: bytes) -> list[bytes]:
        """List a directory as the command left it."""
        effect = self._scan.raw.get(path)
        if effect is not None and (effect.after is None or effect.after.type != "dir"):
            return []
        found = set() if self._hidden(path) else set(_names(path))
        for child in self._touched().get(path, []):
            name = os.path.basename(child)
            if self._scan.raw[child].after is None:
                found.discard(name)
            else:
                found.add(name)
        return sorted(found)

    def _touched(self) -> dict[bytes, list[bytes]]:
        if self._children is None:
            self._children = {}
            for path in self._scan.raw:
                self._children.setdefault(os.path.dirname(path), []).append(path)
        return self._children

    def _hidden(self, path: bytes) -> bool:
        """Tell whether the live path lies beneath something that the command removed or replaced."""
        while path not in (b"", b"/"):
            effect = self._scan.raw.get(path)
            if effect is not None and (effect.after is None or not self._scan.is_merged(path)):
                return True
            path = os.path.dirname(path)
        return False


def content(path: bytes) -> bytes | None:
    """Read a regular file, no link on the way followed; None where there is none, or it may not be read."""
    parents = Parents()
    try:
        name = parents.name(path)
        status = name.lstat()
        if status is None or not st.S_ISREG(status.st_mode) or is_whiteout(name, status):
            return None
        with open(open_file(name), "rb") as file:
            return file.read()
    except OSError:
        return None
    finally:
        parents.close()


def _names(path: bytes) -> list[bytes]:
    try:
        descriptor = open_path(path)
    except OSError:
        return []
    try:
        return names(descriptor)
    finally:
        os.close(descriptor)

"""The host half as one file that can be sent: a zip file of what runs on a target, the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

_PARTS = ("__init__.py", "errors.py", "model", "lens", "host")
_ENDINGS = (".py", ".json", ".sh")
_ONE_AT_A_TIME = threading.Lock()
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file can tell."""


class HostHalf(NamedTuple):
    """The file, and the hash that names it."""

    content: bytes
    sha256: str


def build() -> HostHalf:
    """Pack the host half of this very release: once, for however many hosts."""
    with _ONE_AT_A_TIME:
        return _built()


@cache
def _built() -> HostHalf:
    root = files("backout")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:  # not compressed: how well that goes differs between zlibs
        for name, part in sorted(found for top in _PARTS for found in _below(f"backout/{top}", root / top)):
            archive.writestr(zipfile.ZipInfo(name, _WHEN), part.read_bytes())
    content = packed.getvalue()
    return HostHalf(content, hashlib.sha256(content).hexdigest())


@cache
def loader() -> str:
    """Give the text of the code that takes it in on a host."""
    return (files("backout") / "host" / "loader.py").read_text(encoding="utf-8")


def _below(name: str, part: Traversable) -> Iterator[tuple[str, Traversable]]:
    if part.is_dir():
        for inner in part.iterdir():
            yield from _below(f"{name}/{inner.name}", inner)
    elif name.endswith(_ENDINGS):
        yield name, part

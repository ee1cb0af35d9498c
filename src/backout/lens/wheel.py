"""What an installed Python distribution says of itself: METADATA, RECORD, and the names of its folders.

Sources: "Recording installed projects" (packaging.python.org; PEP 376, PEP 627), "Core metadata", names (PEP 503).
Nothing in these files is believed further than its hash goes.
"""

from __future__ import annotations

import base64
import binascii
import csv
import os
import posixpath
import re
from typing import NamedTuple

_SITE = re.compile(
    rb"(?P<site>(?P<prefix>/.*|)/lib(?:64)?/(?:python|pypy)\d[^/]*/(?:site|dist)-packages|(?P<bare>/.*/(?:site|dist)-packages))"
    rb"/(?P<info>[^/]+\.(?:dist|egg)-info)(?:/|\Z)",
    re.DOTALL,
)
_INFO_NAME = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-.*)?\.(?:dist|egg)-info\Z", re.DOTALL)
_HEADER = re.compile(r"^(Name|Version):[ \t]*(\S[^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_DATA = (b"bin", b"share", b"include", b"etc", b"sbin", b"man", b"lib", b"lib64")
_LARGEST_BYTES = 16 << 20


class Info(NamedTuple):
    """Where a distribution's own folder lies: its prefix (of the virtual environment), its site folder, its name."""

    prefix: bytes
    site: bytes
    info: bytes

    @property
    def path(self) -> bytes:
        """Give the folder's path (for old distributions without a folder, the file's)."""
        return self.site + b"/" + self.info

    @property
    def record(self) -> bytes:
        """Give the path of the list of installed files."""
        return self.path + b"/RECORD"


class Identity(NamedTuple):
    """A distribution's normalised name, and its version."""

    name: str
    version: str


def info_of(path: bytes) -> Info | None:
    """Find the distribution whose own folder a path is, or lies in; None when there is none."""
    if b"-info" not in path or b"-packages/" not in path:
        return None
    match = _SITE.match(path)
    if match is None:
        return None
    prefix = match["prefix"] if match["bare"] is None else match["bare"]
    return Info(prefix or b"/", match["site"], match["info"])


def normalised(name: str) -> str:
    """Write a name as all tools compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def identity(info: Info, metadata: bytes) -> Identity:
    """Tell name and version: by the folder's name, by which installers find it; by METADATA where that agrees."""
    match = _INFO_NAME.match(os.fsdecode(info.info))
    head = os.fsdecode(metadata).replace("\r\n", "\n").partition("\n\n")[0]
    headers = dict(reversed(_HEADER.findall(head)))
    stem = os.fsdecode(info.info).rpartition(".")[0]
    name = normalised(match["name"] if match else stem)
    if match and normalised(headers.get("Name", "")) != name:
        return Identity(name, match["version"])
    return Identity(name, headers.get("Version") or (match["version"] if match else "unknown"))


def record_entries(info: Info, content: bytes) -> dict[bytes, str | None]:
    """Read RECORD: each path that it may speak for, and the file's SHA-256 in hex (None: it gives none).

    It may speak for its site folder and for a prefix's data folders: a path that climbs out of these is left out, and
    so is whatever cannot be read.
    """
    entries: dict[bytes, str | None] = {}
    if len(content) > _LARGEST_BYTES:
        return entries
    rows = csv.reader(os.fsdecode(content).split("\n"))
    places = (info.site, *(_joined(info.prefix, name) for name in _DATA if info.prefix != b"/"))
    beneath = tuple(place + b"/" for place in places)
    while True:
        try:
            row = next(rows, None)
        except csv.Error:
            continue
        if row is None:
            return entries
        path = _resolved(info.site, row[0], beneath) if row else None
        if path is not None:
            entries[path] = _hex(row[1]) if len(row) > 1 else None


def folders_of(info: Info, path: bytes) -> list[bytes]:
    """Name the folders that exist for the sake of an installed file: those between it and the site or data folder."""
    roots = [info.site, *(_joined(info.prefix, name) for name in _DATA[1:4])]
    root = next((root for root in roots if path.startswith(root + b"/")), path)
    found = []
    folder = posixpath.dirname(path)
    while len(folder) > len(root):
        found.append(folder)
        folder = posixpath.dirname(folder)
    return found


def steady_record(content: bytes) -> bytes:
    """Give RECORD without what differs between two installations of one wheel: order, byte code, origin."""
    varying = (b"__pycache__/", b".dist-info/direct_url.json,")
    return b"\n".join(sorted(line for line in content.splitlines() if not any(part in line for part in varying)))


def _resolved(site: bytes, entry: str, beneath: tuple[bytes, ...]) -> bytes | None:
    if not entry or "\0" in entry:
        return None
    path = posixpath.normpath(posixpath.join(site, os.fsencode(entry)))
    return path if path.startswith(beneath) else None


def _joined(prefix: bytes, name: bytes) -> bytes:
    return prefix.rstrip(b"/") + b"/" + name


def _hex(field: str) -> str | None:
    """Turn `sha256=` and URL-safe base64 without padding into hex; an unknown hash matches nothing."""
    if not field:
        return None
    algorithm, _, value = field.partition("=")
    if algorithm != "sha256":
        return "unknown"
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except (ValueError, binascii.Error):
        return "unknown"

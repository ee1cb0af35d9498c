"""dpkg's database as values: the status file, and the lists and hashes of a package's files.

Sources: deb-control(5), dpkg-query(1) on package states, deb-md5sums(5), dpkg-divert(1), and Debian's usrmerge on /usr
taking the place of /bin, /sbin and /lib.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from backout.lens import records

STATUS = b"/var/lib/dpkg/status"
EXTENDED = b"/var/lib/apt/extended_states"
INFO = b"/var/lib/dpkg/info/"
DIVERSIONS = b"/var/lib/dpkg/diversions"

_FIELD = re.compile(rb"\n(Package|Architecture|Status|Version|Auto-Installed):[ \t]*([^\n]*)")
"""Begins with a line's end, not with an anchor: a literal is what the engine looks for fastest."""
_CONFFILES = re.compile(rb"^Conffiles:[^\n]*\n((?: [^\n]*\n?)+)", re.MULTILINE)
_MERGED = (b"/bin/", b"/sbin/", b"/lib/", b"/lib64/", b"/lib32/", b"/libx32/")
_USUAL = b"install ok installed"
_GONE = ("not-installed", "config-files")
_MD5_HEX = re.compile(rb"[0-9a-f]{32}\Z")

Read = Callable[[bytes], "bytes | None"]
Diverted = dict[bytes, tuple[bytes, bytes]]
"""{from: (to, the package that diverts)}"""


class Stanza(NamedTuple):
    """One package's stanza: what is asked of its fields, and its text."""

    fields: dict[bytes, bytes]
    text: bytes

    def field(self, name: bytes) -> str:
        """Give a field's value; empty when there is none."""
        return os.fsdecode(self.fields.get(name, b""))

    @property
    def state(self) -> str:
        """Give the third word of Status, such as installed, config-files, half-configured."""
        return (self.field(b"Status").split() or ["not-installed"])[-1]

    @property
    def is_there(self) -> bool:
        """Tell whether the package's programs are there, if only in part."""
        return self.state not in _GONE

    @property
    def value(self) -> str | None:
        """Give the version, with what is unusual behind it; None when nothing is left of the package."""
        if self.fields.get(b"Status") == _USUAL:
            return self.field(b"Version")
        words = self.field(b"Status").split() or ["not-installed"]
        if words[-1] == "not-installed":
            return None
        unusual = [word for word in words[:1] if word == "hold"] + [
            word for word in words[1:] if word not in ("ok", "installed")
        ]
        return self.field(b"Version") + (f" ({', '.join(unusual)})" if unusual else "")

    @property
    def conffiles(self) -> dict[bytes, str]:
        """Give the MD5 of each configuration file as the package shipped it."""
        block = _CONFFILES.search(self.text)
        lines = [line.split() for line in (block[1] if block else b"").splitlines()]
        return {line[0]: line[1].decode() for line in lines if len(line) > 1 and _MD5_HEX.match(line[1])}


def _fields(text: bytes) -> dict[bytes, bytes]:
    """Give what is asked of a stanza's fields; where one is there twice, the first."""
    return {name: value.rstrip(b" \t") for name, value in reversed(_FIELD.findall(b"\n" + text))}


def stanza(text: bytes | None) -> Stanza | None:
    """Read one stanza."""
    return None if text is None else Stanza(_fields(text), text)


def known(status: bytes) -> dict[str, str]:
    """Tell every package that something is left of, by the names that effects have, with its version."""
    found = [Stanza(_fields(text), text) for text in status.split(b"\n\n")]
    native = _native(one.fields for one in found)
    values = ((_key(one.fields, native), one.value) for one in found)
    return {name: value for name, value in values if name is not None and value is not None}


def native_architecture(status: bytes) -> bytes:
    """Tell the host's own architecture: dpkg's; without dpkg, the commonest."""
    return _native(_fields(text) for text in status.split(b"\n\n"))


def _native(stanzas: Iterable[dict[bytes, bytes]]) -> bytes:
    named = [fields for fields in stanzas if b"Architecture" in fields]
    for fields in named:
        if fields.get(b"Package") == b"dpkg":
            return fields[b"Architecture"]
    counted = Counter(fields[b"Architecture"] for fields in named if fields[b"Architecture"] != b"all")
    return max(sorted(counted), key=lambda name: counted[name], default=b"all")


def table(content: bytes, native: bytes) -> records.Table | None:
    """Read a file of stanzas by package: NAME, or NAME:ARCH for a foreign one."""

    def key_of(text: bytes) -> str | None:
        return _key(_fields(text), native)

    return records.table(content, key_of, b"\n\n")


def _key(fields: dict[bytes, bytes], native: bytes) -> str | None:
    name, architecture = fields.get(b"Package"), fields.get(b"Architecture", native)
    if name is None:
        return None
    return os.fsdecode(name if architecture in (native, b"all") else name + b":" + architecture)


class Files(NamedTuple):
    """What a package's database files say on one side: every path listed, and MD5 by path where one is given."""

    listed: frozenset[bytes]
    md5: dict[bytes, str]


def stems(found: Stanza) -> tuple[bytes, ...]:
    """Give what the names of a package's database files may begin with."""
    name = found.fields.get(b"Package", b"")
    return (name + b":" + found.fields.get(b"Architecture", b""), name)


def files(found: Stanza | None, read: Read, real: Callable[[bytes], bytes]) -> Files:
    """Read a package's list, its hashes and its configuration files; `real` tells where a listed path truly lies."""
    if found is None:
        return Files(frozenset(), {})
    stem = next((stem for stem in stems(found) if read(INFO + stem + b".list") is not None), b"")
    listed = (read(INFO + stem + b".list") or b"").split(b"\n")
    md5 = dict(found.conffiles)
    for line in (read(INFO + stem + b".md5sums") or b"").split(b"\n"):
        digest, _, name = line.partition(b"  ")
        if name and _MD5_HEX.match(digest):
            md5[b"/" + name] = digest.decode()
    paths = {path: real(path) for path in listed if _is_plain(path)}
    return Files(frozenset(paths.values()), {paths[path]: digest for path, digest in md5.items() if path in paths})


def _is_plain(path: bytes) -> bool:
    """Tell an absolute path that climbs nowhere."""
    return path.startswith(b"/") and not {b"..", b".", b""} & set(path[1:].split(b"/"))


def diversions(content: bytes) -> Diverted:
    """Read diversions, three lines each."""
    lines = content.split(b"\n")
    return {lines[i]: (lines[i + 1], lines[i + 2]) for i in range(0, len(lines) - 3, 3)}


def real_path(path: bytes, package: bytes, diverted: Diverted, touched: Collection[bytes]) -> bytes:
    """Tell where a path that `package` lists truly lies: diverted by another, or in /usr where /bin is a link to it."""
    to, by = diverted.get(path, (path, package))
    path = path if by == package else to
    merged = b"/usr" + path
    return merged if path.startswith(_MERGED) and merged in touched and path not in touched else path

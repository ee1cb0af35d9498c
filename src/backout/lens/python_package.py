"""Python packages: whatever is installed in a site-packages or dist-packages folder, by RECORD.

A file is claimed only when its bytes are those that RECORD gives for them, after and before: a file that was patched
by hand stays a `file` effect, so that its loss is seen. Byte code is left to the noise. An egg-info folder lists no
hashes: of such a package only that folder is claimed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from backout.lens import wheel
from backout.lens.content import content_of, only_bytes_differ
from backout.lens.view import Claims, View
from backout.model.effect import Effect, RawEffect, operation
from backout.model.state import State

RANK = 30

_UNHASHED = (b"RECORD", b"INSTALLER", b"REQUESTED", b"direct_url.json")
"""What an installer writes into a package's own folder, and may list without a hash."""
_VARYING = b"/direct_url.json"


class _Side(NamedTuple):
    """One installation as it is on one side."""

    info: wheel.Info
    identity: wheel.Identity
    entries: dict[bytes, str | None]


class _Package(NamedTuple):
    """All that is installed of one name under one prefix, on both sides."""

    before: list[_Side]
    after: list[_Side]


def claim(raw: Mapping[bytes, RawEffect], view: View) -> Claims:
    """Give one effect a package of a prefix whose own folder is different: `PREFIX:NAME`, its versions."""
    packages = _packages({info for info in map(wheel.info_of, raw) if info is not None}, view)
    known = _listed(side for package in packages.values() for side in package.before)
    claimed = {key: _claimed(package, raw, known) for key, package in packages.items()}
    effects = tuple(_effect(key, packages[key], claimed[key], raw, view) for key in sorted(packages) if claimed[key])
    return Claims(effects, frozenset(path for effect in effects for path in effect.paths))


def project(path: bytes, before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    """Give nothing: packages share no files, only folders."""
    del path, before, after, subjects
    return None


def _packages(infos: Collection[wheel.Info], view: View) -> dict[tuple[str, str], _Package]:
    found: dict[tuple[str, str], _Package] = {}
    for info in sorted(infos):
        for index, read in enumerate((view.before, view.after)):
            side = _side(info, read)
            if side is not None:
                key = info.prefix.decode("utf-8", "surrogateescape"), side.identity.name
                found.setdefault(key, _Package([], []))[index].append(side)
    return found


def _side(info: wheel.Info, read: Callable[[bytes], bytes | None]) -> _Side | None:
    """Read one side of an installation; None when nothing is installed there."""
    if info.info.endswith(b".egg-info"):
        about = read(info.path + b"/PKG-INFO") or read(info.path)
        return None if about is None else _Side(info, wheel.identity(info, about), {})
    metadata, record = read(info.path + b"/METADATA"), read(info.record)
    if metadata is None and record is None:
        return None
    return _Side(info, wheel.identity(info, metadata or b""), wheel.record_entries(info, record or b""))


def _listed(sides: Iterable[_Side]) -> dict[bytes, set[str | None]]:
    """Give all hashes that any of the packages vouched for, by path: a file may move from one to another."""
    known: dict[bytes, set[str | None]] = {}
    for side in sides:
        for path, digest in side.entries.items():
            known.setdefault(path, set()).add(digest)
    return known


def _claimed(package: _Package, raw: Mapping[bytes, RawEffect], known: Mapping[bytes, set[str | None]]) -> set[bytes]:
    after = _listed(package.after)
    own = _listed(package.before)
    claimed = set()
    for path in (own.keys() | after.keys()) & raw.keys():
        effect = raw[path]
        old, new = known.get(path, set()), after.get(path, set())
        if _is_vouched(path, effect.before, old) and _is_vouched(path, effect.after, new) and not _is_same(effect):
            claimed.add(path)
    claimed |= _egg_info(package, raw)
    for side in (*package.before, *package.after):
        claimed |= _folders(side, claimed, raw)
    return claimed


def _is_vouched(path: bytes, state: State | None, digests: Collection[str | None]) -> bool:
    """Tell whether what is there is what a RECORD lists; of what lists no hash only an installer's own notes are."""
    if state is None:
        return True
    if state.type != "file":
        return False
    folder, _, name = path.rpartition(b"/")
    return state.sha256 in digests or (None in digests and name in _UNHASHED and folder.endswith(b".dist-info"))


def _is_same(effect: RawEffect) -> bool:
    """Tell a change of metadata alone, which no installer makes."""
    return effect.before is not None and effect.after is not None and effect.before.sha256 == effect.after.sha256


def _egg_info(package: _Package, raw: Mapping[bytes, RawEffect]) -> set[bytes]:
    roots = {side.info.path for side in (*package.before, *package.after) if side.info.info.endswith(b".egg-info")}
    if not roots:
        return set()
    inside = tuple(root + b"/" for root in roots)
    own = (raw[path] for path in raw if path in roots or path.startswith(inside))
    return {effect.path for effect in own if only_bytes_differ(effect) or _is_new_or_gone(effect, ("dir", "file"))}


def _folders(side: _Side, claimed: Collection[bytes], raw: Mapping[bytes, RawEffect]) -> set[bytes]:
    """Give the folders that came or went with the claimed files."""
    found: set[bytes] = set()
    for path in side.entries.keys() & set(claimed):
        found.update(folder for folder in wheel.folders_of(side.info, path) if _is_new_or_gone(raw.get(folder)))
    return found


def _is_new_or_gone(effect: RawEffect | None, types: Collection[str] = ("dir",)) -> bool:
    if effect is None:
        return False
    there = [side.type for side in (effect.before, effect.after) if side is not None]
    return len(there) == 1 and there[0] in types


def _effect(
    key: tuple[str, str], package: _Package, claimed: Collection[bytes], raw: Mapping[bytes, RawEffect], view: View
) -> Effect:
    before, after = (", ".join(sorted({side.identity.version for side in sides})) or None for sides in package)
    content = content_of(_steady(raw[path], view) for path in claimed)
    op = operation(before, after)
    return Effect("python-package", ":".join(key), op, before, after, content=content, paths=tuple(sorted(claimed)))


def _steady(effect: RawEffect, view: View) -> RawEffect:
    """Take out what differs between two installations of one wheel, so that both have the same content hash."""
    if effect.path.endswith(_VARYING):
        return effect._replace(before=_without_bytes(effect.before), after=_without_bytes(effect.after))
    if not effect.path.endswith(b"/RECORD"):
        return effect
    before, after = (read(effect.path) for read in (view.before, view.after))
    return effect._replace(before=_with_record(effect.before, before), after=_with_record(effect.after, after))


def _without_bytes(state: State | None) -> State | None:
    return None if state is None else state._replace(sha256=None, size=0)


def _with_record(state: State | None, content: bytes | None) -> State | None:
    if state is None or content is None:
        return state
    return state._replace(sha256=hashlib.sha256(wheel.steady_record(content)).hexdigest(), size=0)

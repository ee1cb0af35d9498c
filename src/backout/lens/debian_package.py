"""Debian packages: dpkg's status, stanza by stanza, and the files that a package lists, each by its MD5.

A file is claimed only when its bytes are those that the package shipped, after and before: a configuration file that
was edited by hand stays a `file` effect, so that its loss is seen. Folders and links have no hash: they are claimed
when listed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from typing import NamedTuple

from backout.lens import alternatives, dpkg, records
from backout.lens.content import content_of, only_bytes_differ
from backout.lens.view import Claims, View
from backout.model.effect import Effect, RawEffect, operation
from backout.model.state import State

RANK = 20

_TRIGGERS = b"/var/lib/dpkg/triggers/"
_PRIVATE = (b"Lock", b"Unincorp")
"""Of dpkg alone: a lock, and a queue that is empty again when it is done."""


class _Side(NamedTuple):
    """A package on one side: its stanza, and its files."""

    stanza: dpkg.Stanza | None
    files: dpkg.Files


class _Package(NamedTuple):
    """A package whose stanza is different."""

    before: _Side
    after: _Side


class _Tables(NamedTuple):
    """A file of stanzas on both sides."""

    before: records.Table
    after: records.Table


def claim(raw: Mapping[bytes, RawEffect], view: View) -> Claims:
    """Give one effect a package whose stanza in the status file, or whose mark of being automatic, is different."""
    if dpkg.STATUS not in raw and dpkg.EXTENDED not in raw:
        return Claims()
    native = dpkg.native_architecture(view.before(dpkg.STATUS) or view.after(dpkg.STATUS) or b"")
    shared = _shared(raw, view, native)
    packages = _packages(shared, raw, view)
    if not shared:
        return Claims()
    info = _info_files(raw)
    own = {subject: _claimed(package, raw, info, view) for subject, package in packages.items()}
    for subject, links in alternatives.claimed(raw, {s: _listed(package) for s, package in packages.items()}).items():
        own[subject] |= links
    paths = {subject: set(claimed) for subject, claimed in own.items()}
    whole = _share_stanzas(paths, shared, raw) | _share_triggers(paths, packages, raw, view)
    effects = [_effect(subject, packages[subject], own[subject], paths[subject], raw) for subject in packages]
    effects += [_mark(subject, shared[dpkg.EXTENDED], view, native) for subject in paths.keys() - packages.keys()]
    return Claims(tuple(sorted(effects, key=lambda effect: effect.subject)), whole.union(*own.values()))


def project(path: bytes, before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    """Give the status file, apt's marks or a file of triggers with only the packages named in them."""
    if path.startswith(_TRIGGERS):
        return _project_triggers(before, after, subjects)
    if path not in (dpkg.STATUS, dpkg.EXTENDED):
        return None
    native = dpkg.native_architecture(before or after)
    old, new = dpkg.table(before, native), dpkg.table(after, native)
    return None if old is None or new is None else records.project(old, new, subjects)


def _shared(raw: Mapping[bytes, RawEffect], view: View, native: bytes) -> dict[bytes, _Tables]:
    """Read the files of stanzas that are different, where both sides can be told apart into packages."""
    found = {}
    for path in (dpkg.STATUS, dpkg.EXTENDED):
        if path in raw and _are_files(raw[path]):
            before, after = (dpkg.table(read(path) or b"", native) for read in (view.before, view.after))
            if before is not None and after is not None:
                found[path] = _Tables(before, after)
    return found


def _packages(shared: Mapping[bytes, _Tables], raw: Mapping[bytes, RawEffect], view: View) -> dict[str, _Package]:
    tables = shared.get(dpkg.STATUS)
    if tables is None:
        return {}
    reads = (view.before, view.after)
    old, new = tables.before.records(), tables.after.records()
    diverted = [dpkg.diversions(read(dpkg.DIVERSIONS) or b"") for read in reads]
    return {
        subject: _Package(
            _side(subject, old.get(subject), reads[0], diverted[0], raw),
            _side(subject, new.get(subject), reads[1], diverted[1], raw),
        )
        for subject in records.differing(*tables)
    }


def _side(
    subject: str, text: bytes | None, read: dpkg.Read, diverted: dpkg.Diverted, touched: Collection[bytes]
) -> _Side:
    name = os.fsencode(subject.partition(":")[0])
    found = dpkg.stanza(text)
    return _Side(found, dpkg.files(found, read, lambda path: dpkg.real_path(path, name, diverted, touched)))


def _info_files(raw: Mapping[bytes, RawEffect]) -> dict[bytes, list[bytes]]:
    """Give dpkg's own files about packages, by what their names begin with."""
    found: dict[bytes, list[bytes]] = {}
    for path in raw:
        if path.startswith(dpkg.INFO) and _are_files(raw[path]):
            found.setdefault(path[len(dpkg.INFO) :].rpartition(b".")[0], []).append(path)
    return found


def _listed(package: _Package) -> frozenset[bytes]:
    return frozenset(package.before.files.listed | package.after.files.listed)


def _claimed(
    package: _Package, raw: Mapping[bytes, RawEffect], info: Mapping[bytes, list[bytes]], view: View
) -> set[bytes]:
    claimed = {path for path in _listed(package) & raw.keys() if _is_explained(raw[path], package, view)}
    for side in package:
        if side.stanza is not None:
            claimed.update(path for stem in dpkg.stems(side.stanza) for path in info.get(stem, ()))
    return claimed


def _is_explained(effect: RawEffect, package: _Package, view: View) -> bool:
    if effect.before is not None and effect.after is not None and _is_metadata_alone(effect.before, effect.after):
        return False
    return _is_shipped(effect.path, effect.before, package.before.files, view.before) and _is_shipped(
        effect.path, effect.after, package.after.files, view.after
    )


def _is_metadata_alone(before: State, after: State) -> bool:
    return "dir" in (before.type, after.type) or (before.type == after.type == "file" and before.sha256 == after.sha256)


def _is_shipped(path: bytes, state: State | None, files: dpkg.Files, read: dpkg.Read) -> bool:
    if state is None:
        return True
    if path not in files.listed:
        return False
    if state.type == "file":
        # MD5 is what dpkg has; it tells what was edited, and the content hash binds the true bytes by SHA-256.
        found = hashlib.md5(read(path) or b"", usedforsecurity=False).hexdigest()
        return found == files.md5.get(path)
    return state.type in ("dir", "symlink")


def _are_files(effect: RawEffect) -> bool:
    return all(side is None or side.type == "file" for side in (effect.before, effect.after))


def _share_stanzas(
    paths: dict[str, set[bytes]], shared: Mapping[bytes, _Tables], raw: Mapping[bytes, RawEffect]
) -> frozenset[bytes]:
    """Add the files of stanzas to the paths of the packages in them; give those where stanzas are all that differs."""
    whole = set()
    for path, tables in shared.items():
        subjects = records.differing(*tables)
        for subject in subjects:
            paths.setdefault(subject, set()).add(path)
        is_first = path == dpkg.EXTENDED and raw[path].before is None
        if subjects and (is_first or only_bytes_differ(raw[path])) and records.is_whole(*tables):
            whole.add(path)
    return frozenset(whole)


def _share_triggers(
    paths: dict[str, set[bytes]], packages: Collection[str], raw: Mapping[bytes, RawEffect], view: View
) -> frozenset[bytes]:
    """Do the same for files of triggers, line by line: each line names the package that waits for it.

    dpkg writes these lines in no order of its own: where only their order is different, all packages did it together.
    """
    whole = set()
    for path in raw:
        named = _trigger_owners(path, raw[path], view)
        if named is None:
            continue
        owners = {_known(name, packages) for name in named} or set(packages)
        if owners and owners <= set(packages):
            whole.add(path)
            for subject in owners:
                paths[subject].add(path)
    return frozenset(whole)


def _trigger_owners(path: bytes, effect: RawEffect, view: View) -> set[str] | None:
    """Name the packages whose lines are different; None when it is another file, or more than lines differs."""
    name = path[len(_TRIGGERS) :]
    if not path.startswith(_TRIGGERS) or not name or name in _PRIVATE or not _are_files(effect):
        return None
    if effect.before is not None and effect.after is not None and not only_bytes_differ(effect):
        return None
    before, after = (set((read(path) or b"").split(b"\n")) for read in (view.before, view.after))
    return {_trigger_package(line) for line in before ^ after if line}


def _trigger_package(line: bytes) -> str:
    """Give the package at the end of `TRIGGER PACKAGE[/noawait]`, or of a line that is only that."""
    return os.fsdecode((line.split() or [b""])[-1].partition(b"/")[0])


def _known(name: str, packages: Collection[str]) -> str:
    """Leave the architecture away where dpkg names the host's own."""
    return name if name in packages else name.partition(":")[0]


def _project_triggers(before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    old, new = (records.table(side, lambda line: os.fsdecode(line) or None) for side in (before, after))
    if old is None or new is None:
        return None
    lines = [
        line
        for line in records.differing(old, new)
        if _known(_trigger_package(os.fsencode(line)), subjects) in subjects
    ]
    return records.project(old, new, lines)


def _effect(
    subject: str, package: _Package, own: Collection[bytes], paths: Collection[bytes], raw: Mapping[bytes, RawEffect]
) -> Effect:
    before, after = (side.stanza for side in package)
    old, new = (None if stanza is None else stanza.value for stanza in (before, after))
    was, will_be = (stanza is not None and stanza.is_there for stanza in (before, after))
    op = operation(old, new) if was == will_be else "removed" if was else "added"
    texts = [None if stanza is None else os.fsdecode(stanza.text) for stanza in (before, after)]
    content = content_of((raw[path] for path in own), texts)
    return Effect("debian-package", subject, op, old, new, content=content, paths=tuple(sorted(paths)))


def _mark(subject: str, marks: _Tables, view: View, native: bytes) -> Effect:
    """Tell a package of which only the mark is different that says whether it is there for another's sake."""
    status = dpkg.table(view.after(dpkg.STATUS) or b"", native)
    stanza = dpkg.stanza(status.records().get(subject)) if status is not None else None
    version = (stanza.value if stanza is not None else None) or "not installed"
    sides = [dpkg.stanza(table.records().get(subject)) for table in marks]
    words = ["auto" if side is not None and side.field(b"Auto-Installed") == "1" else "manual" for side in sides]
    before, after = (f"{version} ({word})" for word in words)
    content = content_of((), [before, after])
    return Effect("debian-package", subject, "edited", before, after, content=content, paths=(dpkg.EXTENDED,))

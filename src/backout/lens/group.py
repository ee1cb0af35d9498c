"""Groups: the lines of group and gshadow. No password hash is ever shown (design, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from backout.lens import accounts, records
from backout.lens.content import content_of
from backout.lens.view import Claims, View

if TYPE_CHECKING:  # as in `lens.user`
    from backout.model.effect import Effect, RawEffect

RANK = 50

_GROUP, _GSHADOW = b"/etc/group", b"/etc/gshadow"
_FILES = (_GROUP, _GSHADOW)


def claim(raw: Mapping[bytes, RawEffect], view: View) -> Claims:
    """Give one effect a group whose line in either file is different."""
    if not any(path in raw for path in _FILES):
        return Claims()
    found = accounts.read(_FILES, raw, view)
    touched: dict[str, list[bytes]] = {}
    for path, sides in found.items():
        for name in records.differing(*sides):
            touched.setdefault(name, []).append(path)
    effects = tuple(_effect(name, touched[name], found) for name in sorted(touched))
    return Claims(effects, accounts.explained(found, raw))


def known(read: Callable[[bytes], bytes | None]) -> dict[str, dict[str, Any]]:
    """Tell every group that either file names, as effects show one."""
    found = accounts.standing(_FILES, read)
    names = {name for sides in found.values() for name in sides.after.records()}
    fields = ((name, _fields(name, found, after=True)) for name in sorted(names))
    return {name: shown for name, shown in fields if shown}


def project(path: bytes, before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    """Give group or gshadow with only the lines of the groups named in it."""
    return accounts.project(before, after, subjects) if path in _FILES else None


def _effect(name: str, paths: list[bytes], found: Mapping[bytes, accounts.Sides]) -> Effect:
    from backout.model.effect import Effect, operation

    before, after = (_fields(name, found, after=side) for side in (False, True))
    sides = [found[path] for path in paths]
    pairs = [[s.line(name, after=False), s.line(name, after=True)] for s in sides]
    if before and after and before == after and any(old[1:2] != new[1:2] for old, new in pairs):
        after["password"] += " anew"
    rows = [[path.decode(), *pair] for path, pair in zip(paths, pairs)]
    op = operation(before, after)
    return Effect("group", name, op, before, after, content=content_of((), rows), paths=tuple(paths))


def _fields(name: str, found: Mapping[bytes, accounts.Sides], *, after: bool) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    group = found[_GROUP].line(name, after=after) if _GROUP in found else []
    if group:
        fields["gid"] = accounts.number(group[2])
        fields["members"] = _names(group[3])
        fields["password"] = accounts.password_word(group[1])
    shadow = found[_GSHADOW].line(name, after=after) if _GSHADOW in found else []
    if shadow:
        fields["password"] = accounts.password_word(shadow[1])
        fields["administrators"] = _names(shadow[2])
        fields.setdefault("members", _names(shadow[3]))
    return fields or None


def _names(field: str) -> list[str]:
    return [name for name in field.split(",") if name]

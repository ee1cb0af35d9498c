"""Users: the lines of passwd, shadow, subuid and subgid. No password hash is ever shown (design, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from backout.lens import accounts, records
from backout.lens.content import content_of
from backout.lens.view import Claims, View

if TYPE_CHECKING:  # a look asks for what is known alone, and has no effects; what these are takes long to import
    from backout.model.effect import Effect, RawEffect

RANK = 40

_PASSWD, _SHADOW, _SUBUID, _SUBGID = b"/etc/passwd", b"/etc/shadow", b"/etc/subuid", b"/etc/subgid"
_FILES = (_PASSWD, _SHADOW, _SUBUID, _SUBGID)
_BY_LINE = (_SUBUID, _SUBGID)
_LAST_CHANGE = 2
_Ranges = dict[tuple[bytes, bool, str], list[str]]


def claim(raw: Mapping[bytes, RawEffect], view: View) -> Claims:
    """Give one effect a user whose line in any of the four files is different."""
    if not any(path in raw for path in _FILES):
        return Claims()
    found = accounts.read(_FILES, raw, view, _BY_LINE)
    touched: dict[str, dict[bytes, list[str]]] = {}
    for path, sides in found.items():
        for key in records.differing(*sides):
            touched.setdefault(accounts.name_of(key), {}).setdefault(path, []).append(key)
    ranges = _ranges(found)
    effects = tuple(_effect(name, touched[name], found, ranges) for name in sorted(touched))
    return Claims(effects, accounts.explained(found, raw))


def known(read: Callable[[bytes], bytes | None]) -> dict[str, dict[str, Any]]:
    """Tell every user that any of the four files names, as effects show one."""
    found = accounts.standing(_FILES, read, _BY_LINE)
    ranges = _ranges(found)
    names = {accounts.name_of(key) for sides in found.values() for key in sides.after.records()}
    fields = ((name, _fields(name, found, ranges, after=True)) for name in sorted(names))
    return {name: shown for name, shown in fields if shown}


def project(path: bytes, before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    """Give one of the four files with only the lines of the users named in it."""
    return accounts.project(before, after, subjects, by_line=path in _BY_LINE) if path in _FILES else None


def _ranges(found: Mapping[bytes, accounts.Sides]) -> _Ranges:
    """Give what subuid and subgid grant, by file, side and user: told once, however many users there are."""
    ranges: _Ranges = {}
    for path in _BY_LINE:
        for is_after, side in enumerate(found.get(path, ())):
            for key in side.records():
                name, _, granted = key.partition(":")
                ranges.setdefault((path, bool(is_after), name), []).append(granted)
    return ranges


def _effect(
    name: str, keys: Mapping[bytes, list[str]], found: Mapping[bytes, accounts.Sides], ranges: _Ranges
) -> Effect:
    from backout.model.effect import Effect, operation

    before, after = (_fields(name, found, ranges, after=side) for side in (False, True))
    if before and after and before.get("password") == after.get("password") and _secrets(name, found):
        after["password"] += " anew"
    rows = [
        [path.decode(), _timeless(path, sides.line(key, after=False)), _timeless(path, sides.line(key, after=True))]
        for path, sides in found.items()
        for key in keys.get(path, ())
    ]
    op = operation(before, after)
    return Effect("user", name, op, before, after, content=content_of((), rows), paths=tuple(keys))


def _fields(name: str, found: Mapping[bytes, accounts.Sides], ranges: _Ranges, *, after: bool) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    account = found[_PASSWD].line(name, after=after) if _PASSWD in found else []
    if account:
        fields.update(zip(("uid", "gid", "gecos", "home", "shell"), account[2:7]))
        fields.update({key: accounts.number(fields[key]) for key in ("uid", "gid")})
    shadow = found[_SHADOW].line(name, after=after) if _SHADOW in found else []
    if shadow:
        fields["password"] = accounts.password_word(shadow[1])
        fields["ageing"] = ":".join(shadow[_LAST_CHANGE + 1 :])
    elif account:
        fields["password"] = accounts.password_word(account[1])
    for path in _BY_LINE:
        granted = ranges.get((path, after, name))
        if granted:
            fields[path.decode().rpartition("/")[2]] = granted
    return fields or None


def _secrets(name: str, found: Mapping[bytes, accounts.Sides]) -> bool:
    """Tell whether a password field is different."""
    pairs = [
        (s.line(name, after=False)[1:2], s.line(name, after=True)[1:2]) for p, s in found.items() if p not in _BY_LINE
    ]
    return any(old and new and old != new for old, new in pairs)


def _timeless(path: bytes, fields: list[str]) -> list[str]:
    """Blank the day of the last password change: a time, which no hash may depend on."""
    return [*fields[:_LAST_CHANGE], "", *fields[_LAST_CHANGE + 1 :]] if path == _SHADOW and fields else fields

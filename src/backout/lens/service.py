"""Services: the links that say what starts at boot, and the requests that a rehearsal made to the service manager.

What is a link: systemctl(1) "enable" and "mask" (WANTS and REQUIRES folders, aliases, /dev/null), update-rc.d(8).
A unit file itself is a file like any other. Debian's bookkeeping of links (deb-systemd-helper(1p)) goes with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Callable, NamedTuple

from backout.lens.content import content_of
from backout.lens.view import Claims, View
from backout.model.effect import Effect, RawEffect
from backout.model.service import ServiceRequest

RANK = 10

_UNITS = b"/etc/systemd/system"
_UNIT = rb"[^/\s]+\.(?:service|socket|timer|path|mount|automount|swap|target|slice|scope)"
_WANTED = re.compile(rb"/etc/systemd/system/[^/]+\.(?:wants|requires)/(" + _UNIT + rb")\Z")
_ALIAS = re.compile(rb"/etc/systemd/system/(" + _UNIT + rb")\Z")
_FOLDER = re.compile(rb"/etc/systemd/system/[^/]+\.(?:wants|requires)\Z")
_RUNLEVEL = re.compile(rb"/etc/rc([0-6S])\.d/([SK])\d\d([^/]+)\Z")
_BOOKKEEPING = re.compile(
    rb"/var/lib/systemd/deb-systemd-helper-(?:enabled|masked)/(?:[^/]+\.(?:wants|requires)/)?("
    + _UNIT
    + rb")(?:\.dsh-also)?\Z"
)
_STARTS = ("start", "restart", "reload-or-restart")
_STOPS = ("stop", "kill")
_FINAL = ("kill", "isolate")
"""What a signal did to a process, and which units another target ended, nobody can take back."""
MANAGER = "systemd"
"""The subject of requests to the manager itself (daemon-reload) that no unit's request follows or goes before."""


class _Unit(NamedTuple):
    """What was found about one unit."""

    links: list[RawEffect]
    requests: list[str]


def claim(raw: Mapping[bytes, RawEffect], view: View) -> Claims:
    """Give one effect a unit that a link or a request is about.

    `op` is requested (and the effect predicted) where there are requests, else edited. A request to the manager itself
    is told with the next unit that is asked for, or the last: by itself it says nothing.
    """
    units: dict[str, _Unit] = {}
    for path in raw:
        name = _link_of(raw[path])
        if name is not None:
            units.setdefault(name, _Unit([], [])).links.append(raw[path])
    _take_requests(units, view.requests)
    _take_along(units, raw)
    effects = tuple(_effect(name, units[name], view) for name in sorted(units))
    return Claims(effects, frozenset(path for effect in effects for path in effect.paths))


def project(path: bytes, before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    """Give nothing: links are not shared."""
    del path, before, after, subjects
    return None


def _link_of(effect: RawEffect) -> str | None:
    """Name the unit that a path is a link for; None when the path, or what is there on either side, is no such link."""
    targets = [side.target for side in (effect.before, effect.after) if side is not None and side.type == "symlink"]
    if len(targets) != sum(side is not None for side in (effect.before, effect.after)):
        return None
    runlevel = _RUNLEVEL.match(effect.path)
    if runlevel:
        return os.fsdecode(runlevel[3]) + ".service"
    found = _WANTED.match(effect.path)
    if found:
        return os.fsdecode(found[1])
    found = _ALIAS.match(effect.path)
    return _aliased(found[1], targets) if found else None


def _aliased(name: bytes, targets: Iterable[bytes | None]) -> str | None:
    """Name the unit that an alias stands for, or that is masked; None when a link is neither."""
    units = [name if target == b"/dev/null" else os.path.basename(target or b"") for target in targets]
    if len(set(units)) != 1 or not re.fullmatch(_UNIT, units[0]):
        return None
    return os.fsdecode(units[0])


def _take_requests(units: dict[str, _Unit], requests: Iterable[ServiceRequest]) -> None:
    waiting: list[str] = []
    last = ""
    for request in requests:
        if not request.unit:
            waiting.append(request.action)
            continue
        last = request.unit
        asked = units.setdefault(last, _Unit([], [])).requests
        asked += [*dict.fromkeys(waiting), request.action]
        waiting = []
    if waiting:
        last = last or min(units, default=MANAGER)
        units.setdefault(last, _Unit([], [])).requests.extend(dict.fromkeys(waiting))


def _take_along(units: Mapping[str, _Unit], raw: Mapping[bytes, RawEffect]) -> None:
    """Give the units whose links are different also the folders of these links and Debian's bookkeeping of them."""
    of_name: dict[bytes, _Unit] = {}
    of_folder: dict[bytes, dict[str, _Unit]] = {}
    for name, unit in units.items():
        for link in unit.links:
            folder, alias = os.path.split(link.path)
            of_folder.setdefault(folder, {})[name] = unit
            of_name.update({alias: unit, os.fsencode(name): unit})
    for path in raw:
        found = _BOOKKEEPING.match(path)
        if found and found[1] in of_name and _is_one_sided(raw[path], "dir") is None:
            of_name[found[1]].links.append(raw[path])
        elif path in of_folder and _FOLDER.match(path) and _is_one_sided(raw[path], "dir"):
            for unit in of_folder[path].values():
                unit.links.append(raw[path])


def _is_one_sided(effect: RawEffect, type: str) -> bool | None:
    """Tell whether such a thing was added or removed; None when there is no such thing on either side."""
    types = [side.type for side in (effect.before, effect.after) if side is not None]
    return None if type not in types else types == [type]


def _effect(name: str, unit: _Unit, view: View) -> Effect:
    known = view.service(name)
    before: dict[str, Any] = {"enabled": known.enabled, "active": known.active}
    after = dict(before)
    if unit.links:
        sides = [_boot(name, names, links) for names, links in _both_sides(unit, view)]
        before["enabled"] = sides[0].enabled if known.enabled is None else known.enabled
        after["enabled"] = sides[1].enabled
        if sides[0].masked != sides[1].masked:
            before["masked"], after["masked"] = sides[0].masked, sides[1].masked
    if unit.requests:
        before["requests"], after["requests"] = [], list(unit.requests)
        after["active"] = _active_after(unit.requests, active=known.active)
    op = "requested" if unit.requests else "edited"
    paths = tuple(sorted(link.path for link in unit.links))
    content = content_of(unit.links) if unit.links else None
    reversible = not any(action.partition(":")[0] in _FINAL for action in unit.requests)
    predicted = bool(unit.requests)
    return Effect("service", name, op, before, after, content, paths, reversible=reversible, predicted=predicted)


def _active_after(requests: Iterable[str], *, active: bool | None) -> bool | None:
    for action in requests:
        if action in _STARTS:
            active = True
        elif action in _STOPS:
            active = False
    return active


class _Boot(NamedTuple):
    """Whether links make a unit start at boot, and whether it is masked."""

    enabled: bool
    masked: bool


_Names = Callable[[bytes], "list[bytes]"]


def _both_sides(unit: _Unit, view: View) -> list[tuple[_Names, dict[bytes, bytes | None]]]:
    before = {link.path: link.before.target for link in unit.links if link.before}
    after = {link.path: link.after.target for link in unit.links if link.after}
    return [(view.names_before, before), (view.names_after, after)]


def _boot(name: str, names: _Names, links: Mapping[bytes, bytes | None]) -> _Boot:
    """Fold one side's links: a unit's own decide; only without any do the runlevels' (systemd-sysv-generator(8))."""
    unit = os.fsencode(name)
    masked = links.get(_UNITS + b"/" + unit) == b"/dev/null"
    alias = any(_ALIAS.match(path) and target != b"/dev/null" for path, target in links.items())
    folders = [folder for folder in names(_UNITS) if folder.endswith((b".wants", b".requires"))]
    native = alias or any(unit in names(_UNITS + b"/" + folder) for folder in folders)
    started = re.compile(rb"S\d\d" + re.escape(unit[: -len(b".service")]) + rb"\Z")
    sysv = not native and any(started.match(link) for level in b"2345" for link in names(b"/etc/rc%c.d" % level))
    return _Boot(not masked and (native or sysv), masked)

"""What the machine is: its release, kernel, time zone and locale."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

from backout.host.facts.looking import Looking
from backout.model.fact import Fact

_ZONES = re.compile(r".*/zoneinfo/(?:posix/|right/)?(.+)")


def release(looking: Looking) -> Iterator[Fact]:
    """Tell the fields of os-release(5), addresses left out."""
    content = looking.read("/etc/os-release") or looking.read("/usr/lib/os-release")
    for name, value in sorted(assignments(content or b"").items()):
        if not name.endswith("_URL"):
            yield Fact("os", name, value)


def kernel(looking: Looking) -> Iterator[Fact]:
    """Tell what uname(2) says of the kernel that runs."""
    del looking
    named = os.uname()
    for name in ("machine", "release", "version"):
        yield Fact("kernel", name, getattr(named, name))


def timezone(looking: Looking) -> Iterator[Fact]:
    """Tell the zone by the link that is read by everybody; by Debian's note where that is a copy (timezone(5))."""
    try:
        found = _ZONES.fullmatch(os.path.realpath(os.readlink("/etc/localtime")))
        name = found[1] if found else ""
    except FileNotFoundError:
        name = "UTC"
    except OSError:  # a copy
        name = ""
    noted = (looking.read("/etc/timezone") or b"").decode(errors="replace").strip()
    yield Fact("timezone", "name", name or noted or "unknown")


def locale(looking: Looking) -> Iterator[Fact]:
    """Tell what logins begin with: locale.conf(5), or Debian's place for it."""
    content = looking.read("/etc/locale.conf") or looking.read("/etc/default/locale")
    for name, value in sorted(assignments(content or b"").items()):
        yield Fact("locale", name, value)


def assignments(content: bytes) -> dict[str, str]:
    """Read NAME=VALUE lines that are quoted for a shell; what is none is left out."""
    found = {}
    for line in content.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            continue
        try:
            found[name] = "".join(shlex.split(value))
        except ValueError:
            found[name] = value
    return found

"""Debian's packages, as dpkg has them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from backout.host.facts.looking import Looking
from backout.lens import dpkg
from backout.model.fact import Fact


def debian(looking: Looking) -> Iterator[Fact]:
    """Tell every package that dpkg knows something of, by the names of effects."""
    status = looking.read(os.fsdecode(dpkg.STATUS))
    for name, version in dpkg.known(status or b"").items():
        yield Fact("debian-package", name, version)

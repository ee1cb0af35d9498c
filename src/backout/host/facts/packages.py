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
    if not status:
        return
    table = dpkg.table(status, dpkg.native_architecture(status))
    if table is None:
        looking.limit("dpkg's status names a package twice: packages are not told.")
        return
    for name, text in sorted(table.records().items()):
        stanza = dpkg.stanza(text)
        if stanza is not None and stanza.value is not None:
            yield Fact("debian-package", name, stanza.value)

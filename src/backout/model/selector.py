"""Selectors: `kind:glob`, the one way to name effects."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from backout.errors import UsageError
from backout.model.effect import KINDS, Effect


class Selector(NamedTuple):
    """A kind (or `*`) and a glob over the subject; `*` crosses `/`."""

    kind: str
    glob: str

    def __str__(self) -> str:
        """Give the text that the user wrote."""
        return f"{self.kind}:{self.glob}"

    def matches(self, effect: Effect) -> bool:
        """Tell whether the effect's kind and subject match; nothing else is looked at."""
        if effect.kind == "config" and self.kind in ("*", "file") and fnmatch.fnmatchcase(_file_of(effect), self.glob):
            return True
        if self.kind not in ("*", effect.kind):
            return False
        if effect.kind == "python-package":
            return self._matches_package(effect.subject)
        return fnmatch.fnmatchcase(effect.subject, self.glob)

    def _matches_package(self, subject: str) -> bool:
        """Match `PREFIX:NAME`, or a NAME under any prefix; names are compared as PEP 503 normalises them."""
        prefix, colon, name = self.glob.rpartition(":")
        glob = prefix + colon + normal(name)
        return fnmatch.fnmatchcase(subject if colon else subject.rpartition(":")[2], glob)


def normal(name: str) -> str:
    """Normalise the name of a Python package, as PEP 503 says."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _file_of(effect: Effect) -> str:
    """Give the path in the subject of a `config` effect: a path may hold a `#` itself."""
    known = (path for path in map(os.fsdecode, effect.paths) if effect.subject.startswith(path + "#"))
    return next(known, effect.subject.partition("#")[0])


class Rule(NamedTuple):
    """Differences that are meant, and why."""

    what: Selector
    why: str


def parse_selector(text: str, kinds: Sequence[str] = KINDS) -> Selector:
    """Read `kind:glob`; an unknown kind or a missing glob is a usage error that names the kinds."""
    kind, colon, glob = text.partition(":")
    if not colon or not glob or (kind != "*" and kind not in kinds):
        raise UsageError(
            f"{text!r} is not a selector: it must be KIND:GLOB with KIND one of {', '.join(kinds)} or *.",
            next="Write for example file:/etc/nginx/* or python-package:flask.",
        )
    return Selector(kind, glob)


def is_expected(effect: Effect, selectors: Sequence[Selector]) -> bool | None:
    """Tell whether any selector matches: None where nothing was expected at all, so that there are only effects."""
    return any(selector.matches(effect) for selector in selectors) if selectors else None

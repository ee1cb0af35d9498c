"""Refuses a package that crosses a major version, unless an expectation names it without a wildcard in its name."""

from __future__ import annotations

import re

from backout.model import convert
from backout.model.effect import Effect
from backout.model.guard import Guard, Key, Known
from backout.model.selector import Selector
from backout.model.verdict import Reason, first

PACKAGES = ("python-package", "debian-package")
KEYS = {
    "what": Key(convert.list_of(convert.selector, least=1), "list of selectors. Default: every package", default=())
}
NEEDS = ("expect",)
_NAMED = 3
_VERSION = re.compile(r"\s*(?:([0-9]{1,9})[!:])?[vV]?([0-9]{1,9})(?![0-9])")
"""An epoch, which either kind may have, and the first number (PEP 440; Debian Policy 5.6.12)."""


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse a jump that nobody asked for by name, in either direction."""
    what: tuple[Selector, ...] = guard.settings["what"]
    expect = known.expect or ()
    jumps = [
        effect
        for effect in known.effects
        if effect.kind in PACKAGES
        and (not what or any(selector.matches(effect) for selector in what))
        and crosses(effect)
        and not any(_names(selector, effect) for selector in expect)
    ]
    if not jumps:
        return []
    told = first([f"{package(effect)} {effect.before} -> {effect.after}" for effect in jumps])
    asked = " ".join(f"--expect '{e.kind}:{package(e)}'" for e in jumps[:_NAMED])
    return [
        Reason(
            f"{'a package crosses' if len(jumps) == 1 else f'{len(jumps)} packages cross'} a major version: {told}.",
            next=f"Pin what is not meant to move; ask by name for what is: {asked}",
        )
    ]


def major(version: object) -> tuple[int, int] | None:
    """Give the epoch and the major number of a version; None where there is none to be seen."""
    match = _VERSION.match(version) if isinstance(version, str) else None
    return match and (int(match[1] or 0), int(match[2]))


def crosses(effect: Effect) -> bool:
    """Tell whether a package that was there and stays changes its major version, or nobody can tell."""
    if effect.before is None or effect.after is None:
        return False
    before, after = major(effect.before), major(effect.after)
    return before is None or before != after


def package(effect: Effect) -> str:
    """Name a package without its place."""
    return effect.subject.rpartition(":")[2] if effect.kind == "python-package" else effect.subject


def _names(selector: Selector, effect: Effect) -> bool:
    """Tell whether a selector asks for this very package."""
    name = selector.glob.rpartition(":")[2] if effect.kind == "python-package" else selector.glob
    return selector.kind == effect.kind and not set("*?[") & set(name) and selector.matches(effect)

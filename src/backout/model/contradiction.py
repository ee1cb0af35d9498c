"""Where what guards say and what commands expect cannot both be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backout.model.effect import KINDS, Effect
from backout.model.selector import Selector, normal

_ANY = "\x01"
"""A character that no glob names, so that only a wildcard matches it."""


def forbids_all(forbidden: Sequence[Selector], expected: Sequence[Selector]) -> bool:
    """Tell whether selectors cover all that others may match, so that nothing of it could ever be let through."""
    found = [effect for selector in expected for effect in _samples(selector, forbidden)]
    return bool(found) and all(any(selector.matches(effect) for selector in forbidden) for effect in found)


def _samples(selector: Selector, against: Sequence[Selector]) -> Iterator[Effect]:
    """Give effects that stand for all that a selector matches: its wildcards as nothing, and as more than any glob has.

    A set of characters stands for itself, as text that no glob without a wildcard matches.
    """
    longest = 1 + max((len(other.glob) for other in against), default=0)
    for kind in KINDS if selector.kind == "*" else (selector.kind,):
        for wide in ("", _ANY * longest):
            subject = selector.glob.replace("*", wide).replace("?", _ANY)
            if kind == "python-package":
                prefix, colon, name = subject.rpartition(":")
                subject = f"{prefix if colon else _ANY * longest}:{normal(name)}"
            yield Effect(kind, subject, "edited", None, None)

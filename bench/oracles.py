"""Changes that break something, made up: families of oracles, as `split` meets them. Each instance is the same always.

It knows nothing but the standard library, so that a peer asks the very same oracles in an environment of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

Outcome = frozenset[str]
PASSES: Outcome = frozenset()
FAILS: Outcome = frozenset({"as the change did"})
OTHERWISE: Outcome = frozenset({"otherwise"})


class Instance(NamedTuple):
    """A change of so many atoms, and what each part of it breaks; `all_parts` where more than one is looked for."""

    atoms: int
    oracle: Callable[[frozenset[int]], Outcome]
    all_parts: bool = False


def one(draw: random.Random) -> Instance:
    """One atom of 20 to 400 breaks it."""
    count = draw.randint(20, 400)
    culprit = draw.randrange(count)
    return Instance(count, lambda chosen: FAILS if culprit in chosen else PASSES)


def pair(draw: random.Random) -> Instance:
    """Two atoms of 20 to 400 break it, and only together: a package, and a key of the configuration."""
    count = draw.randint(20, 400)
    culprits = frozenset(draw.sample(range(count), 2))
    return Instance(count, lambda chosen: FAILS if culprits <= chosen else PASSES)


def independent(draw: random.Random) -> Instance:
    """Two to five atoms of 20 to 400 break something each, and all of them are looked for."""
    count = draw.randint(20, 400)
    culprits = draw.sample(range(count), draw.randint(2, 5))

    def oracle(chosen: frozenset[int]) -> Outcome:
        return frozenset(f"fault {culprit}" for culprit in culprits if culprit in chosen)

    return Instance(count, oracle, all_parts=True)


def clustered(draw: random.Random) -> Instance:
    """One of 20 to 200 packages breaks it; most belong to groups, and without what one needs it breaks otherwise.

    The groups have up to ten members, which lie anywhere, as names in the alphabet do.
    """
    count = draw.randint(20, 200)
    left = draw.sample(range(count), count)
    culprit = draw.randrange(count)
    needs: list[tuple[int, frozenset[int]]] = []
    while left:
        size = draw.choice((1, 1, 1, 2, 2, 3, 4, 6, 10))
        group, left = left[:size], left[size:]
        for at, package in enumerate(group[1:], 1):
            needs.append((package, frozenset(draw.sample(group[:at], min(at, draw.randint(1, 2))))))

    def oracle(chosen: frozenset[int]) -> Outcome:
        if any(package in chosen and not needed <= chosen for package, needed in needs):
            return OTHERWISE
        return FAILS if culprit in chosen else PASSES

    return Instance(count, oracle)


def hidden(draw: random.Random) -> Instance:
    """One atom of 20 to 400 breaks it, but for two others that mend it, each of which a fourth undoes: not monotone."""
    count = draw.randint(20, 400)
    culprit, *others = draw.sample(range(count), 5)
    mending = (others[0:2], others[2:4])

    def oracle(chosen: frozenset[int]) -> Outcome:
        if culprit not in chosen or any(mends in chosen and undoes not in chosen for mends, undoes in mending):
            return PASSES
        return FAILS

    return Instance(count, oracle)


FAMILIES: dict[str, Callable[[random.Random], Instance]] = {
    "one culprit": one,
    "two that break it only together": pair,
    "several culprits, all looked for": independent,
    "packages that need each other": clustered,
    "one that others hide": hidden,
}
"""The families, as the table calls them."""


def instances(family: str, number: int) -> Iterable[Instance]:
    """Give so many of a family, always the same."""
    return (FAMILIES[family](random.Random(f"{family} {at}")) for at in range(number))  # noqa: S311 - to be the same

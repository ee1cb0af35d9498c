"""Whether weak wording of an action is told from wording that can be checked, on published actions with labels.

What was labelled, by which guide, and whose texts they are: bench/data/README.md.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from bench.contest import ROOT, Place

_DATA = Path(ROOT) / "bench" / "data"


def labels(name: str) -> dict[str, bool]:
    """Read a file of labels: whether the action of an id is weak."""
    with open(_DATA / name, encoding="utf-8", newline="") as file:
        return {row["id"]: row["weak"] == "1" for row in csv.DictReader(file)}


def kappa(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Give Cohen's kappa: how much more two readers agree than by chance, with 1 for always."""
    count = len(one)
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / count
    yes, also = sum(one) / count, sum(other) / count
    chance = yes * also + (1 - yes) * (1 - also)
    return (observed - chance) / (1 - chance)


def agreement() -> str:
    """Tell how far both passes of labels agree."""
    first, second = labels("labels-first.csv"), labels("labels-second.csv")
    ids = sorted(first)
    one, other = [first[key] for key in ids], [second[key] for key in ids]
    same = sum(a == b for a, b in zip(one, other, strict=True))
    return (
        f"Both passes of labels agree on {same} of {len(ids)} ({same / len(ids):.1%}), Cohen's kappa "
        f"{kappa(one, other):.2f}; the first calls {sum(one)} of them weak, the second {sum(other)}."
    )


def told(place: Place) -> str:
    """Measure; gives the part of the page."""
    del place
    return f"## Weak wording is told from wording that can be checked (`wording`)\n\n{agreement()}\n"

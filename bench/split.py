"""How many trials it takes to find what breaks a change: ours, and picire's ddmin, on the same made-up changes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from backout.model.ddmin import Atoms, Outcome, Search, answer
from bench.contest import ROOT, Place
from bench.oracles import FAMILIES, Instance, instances

PEERS = ("picire==21.8", "setuptools==80.9.0")
"""What is measured beside, and what it needs: it still imports pkg_resources, which is what our drill is about."""
SETTINGS = [
    (subsets, complements, order, split, granularity)
    for subsets, order in (("forward", "subset-first"), ("forward", "complement-first"), ("skip", "subset-first"))
    for complements in ("forward", "backward")
    for split in ("zeller", "balanced")
    for granularity in ("2", "4", "8", "inf")
]
"""All that picire's page tells of and that may change how many trials it takes."""
_DEFAULT = ("forward", "forward", "subset-first", "zeller", "2")
_PEER = """
import json, sys
from bench.oracles import instances
from picire import DD, Outcome, config_iterators, config_splitters, outcome_cache

family, number, all_settings = json.loads(sys.argv[1])

def tried(instance, settings):
    subsets, complements, order, split, granularity = settings
    whole = rest = frozenset(range(instance.atoms))
    seen, atoms = {whole, frozenset()}, 0
    while instance.oracle(rest):
        about = instance.oracle(rest)

        def test(config, config_id):
            seen.add(frozenset(config))
            return Outcome.FAIL if about & instance.oracle(frozenset(config)) else Outcome.PASS

        search = DD(
            test, cache=outcome_cache.ConfigCache(), subset_first=order == "subset-first",
            split=getattr(config_splitters, split)(n=float(granularity) if granularity == "inf" else int(granularity)),
            subset_iterator=getattr(config_iterators, subsets),
            complement_iterator=getattr(config_iterators, complements),
        )
        part = frozenset(search(sorted(rest)))
        rest -= part
        atoms += len(part)
        if not instance.all_parts:
            break
        seen.add(rest)
    return len(seen) - 2, atoms

drawn = list(instances(family, number))
print(json.dumps([[tried(instance, settings) for instance in drawn] for settings in all_settings]))
"""
_NOTE = (
    "The median number of trials: each starts the application, and is all that a search costs. All atoms and none are "
    "not counted, and nothing twice. {number} made-up changes a family, the same in every run (`bench/oracles.py`). "
    "{peer} runs alone and with its cache, in each of the "
    f"{len(SETTINGS)} combinations of the settings that its page tells of; "
    "its best is that one which did best on this very family. Both find parts of which every atom is needed; how many "
    "atoms those have, ours and its, is the last column, on average."
)


class Row(NamedTuple):
    """What a family came to: trials, and atoms found, an instance each."""

    family: str
    ours: list[tuple[int, int]]
    best: list[tuple[int, int]]
    usual: list[tuple[int, int]]
    settings: tuple[str, ...]

    def told(self) -> str:
        """Give the row of the table."""
        ours, best, usual = (
            statistics.median(trials for trials, _ in each) for each in (self.ours, self.best, self.usual)
        )
        sizes = " / ".join(f"{statistics.mean(atoms for _, atoms in each):.1f}" for each in (self.ours, self.best))
        return f"| {self.family} | {ours:g} | {best:g} | {ours / best:.2f} | {usual:g} | {sizes} |"


def told(place: Place, number: int) -> tuple[str, bool]:
    """Count on so many changes a family; gives the part of the page, and whether we never took more trials."""
    begun = time.monotonic()
    python = _peer(place)
    rows = [_row(place, python, family, number) for family in FAMILIES]
    table = "\n".join(
        [
            "| what breaks it | backout | picire, its best | picire = 1 | picire, as it comes | atoms found |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *(row.told() for row in rows),
        ]
    )
    bests = "".join(f"- {row.family}: {_named(row.settings)}\n" for row in rows)
    note = _NOTE.format(number=number, peer=PEERS[0])
    part = f"## Finding what breaks a change (`split`)\n\n{note}\n\n{table}\n\nIts best settings:\n\n{bests}"
    part += f"\nAll of it took {time.monotonic() - begun:.0f} s.\n"
    return part, all(_median(row.ours) <= _median(row.best) for row in rows)


def _row(place: Place, python: str, family: str, number: int) -> Row:
    ours = [_tried(instance) for instance in instances(family, number)]
    done = subprocess.run(
        [python, "-c", _PEER, json.dumps([family, number, SETTINGS])],
        env={**place.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"picire: exit {done.returncode}\n{done.stderr}")
    peers = {
        settings: [(a, b) for a, b in each] for settings, each in zip(SETTINGS, json.loads(done.stdout), strict=True)
    }
    best = min(SETTINGS, key=lambda settings: (_median(peers[settings]), SETTINGS.index(settings)))
    return Row(family, ours, peers[best], peers[_DEFAULT], best)


def _tried(instance: Instance) -> tuple[int, int]:
    """Search in one; gives the trials, and the atoms found."""
    everything = frozenset(range(instance.atoms))
    search, trials = Search(instance.atoms, instance.oracle(everything)), 0

    def ask(subsets: tuple[Atoms, ...]) -> dict[Atoms, Outcome]:
        nonlocal trials
        trials += len(subsets)
        return {subset: instance.oracle(subset) for subset in subsets}

    if instance.all_parts:
        parts = answer(search.parts(), ask, at_once=1).parts
    else:
        parts = (answer(search.part(everything), ask, at_once=1),)
    return trials, sum(map(len, parts))


def _peer(place: Place) -> str:
    folder = place.path("picire")
    place.must(os.path.realpath(sys.executable), "-m", "venv", folder)
    place.must(os.path.join(folder, "bin", "pip"), "install", "--quiet", *PEERS)
    return os.path.join(folder, "bin", "python")


def _median(each: list[tuple[int, int]]) -> float:
    return statistics.median(trials for trials, _ in each)


def _named(settings: tuple[str, ...]) -> str:
    subsets, complements, order, split, granularity = settings
    first = "" if subsets == "skip" else f", {order.replace('-', 's ')}"
    return f"subsets {subsets}{first}, complements {complements}, {split} split by {granularity}"

"""`./run bench [NAME…]`: measure, print a table, and write the results page with --write."""

from __future__ import annotations

import argparse
import compileall
import functools
import gc
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence

from backout import __version__
from bench import (
    chaos,
    culprit,
    debian,
    facts,
    fidelity,
    files,
    fuzz,
    memory,
    packages,
    parity,
    search,
    split,
    start,
    trial,
    wording,
)
from bench.contest import ROOT, Contest, Place, Result, hold

BENCHES: dict[str, tuple[Callable[[Place], Contest], int]] = {
    "noop": (start.noop, 15),
    "version": (start.version, 30),
    "note": (start.note, 30),
    "pip": (packages.upgrade, 5),
    "apt": (debian.install, 5),
    "scan": (files.effects, 3),
    "apply": (files.apply, 5),
    "back": (packages.back, 5),
    "trial": (trial.trial, 10),
}
"""Each bench, and how many rounds it takes to be steady."""


def _memory(place: Place, rounds: int | None) -> tuple[str, bool]:
    del rounds  # one is enough: it hardly varies
    return memory.told(place), True


def _parity(place: Place, rounds: int | None) -> tuple[str, bool]:
    del rounds
    return parity.told(place), True


def _fidelity(place: Place, rounds: int | None) -> tuple[str, bool]:
    del place
    count = fidelity.count(rounds or 1000)
    return count.told(), not count.examples


def _fuzz(place: Place, rounds: int | None) -> tuple[str, bool]:
    del place
    count = fuzz.count(rounds or 1000)
    return count.told(), not count.failed


def _facts(place: Place, rounds: int | None) -> tuple[str, bool]:
    with facts.contests(place) as (one, fifty):
        return _part("facts", one, rounds or 5) + "\n" + _part("facts", fifty, rounds or 3), True


def _culprit(place: Place, rounds: int | None) -> tuple[str, bool]:
    found = culprit.Culprit(place)
    return _part("culprit", found.contest(), rounds or 5) + "\n" + found.told(), True


def _chaos(place: Place, rounds: int | None) -> tuple[str, bool]:
    return chaos.measured(rounds or 100, place.seed)


def _split(place: Place, rounds: int | None) -> tuple[str, bool]:
    return split.told(place, rounds or 40)


def _search(place: Place, rounds: int | None) -> tuple[str, bool]:
    del rounds
    return search.told(place), True


def _wording(place: Place, rounds: int | None) -> tuple[str, bool]:
    del rounds
    return wording.told(place), True


OTHERS: dict[str, Callable[[Place, int | None], tuple[str, bool]]] = {
    "facts": _facts,
    "culprit": _culprit,
    "chaos": _chaos,
    "memory": _memory,
    "parity": _parity,
    "search": _search,
    "split": _split,
    "wording": _wording,
    "fidelity": _fidelity,
    "fuzz": _fuzz,
}
"""What weighs or counts, and does not time; each gives its part of the page, and whether it is as it should be."""
NAMES = (*BENCHES, *OTHERS)
PAGE = os.path.join(ROOT, "docs", "bench.md")


def main() -> int:
    """Measure what was asked for; gives the exit code."""
    options = _options()
    folder = tempfile.mkdtemp(prefix="backout-bench-", dir="/var/tmp")
    compileall.compile_dir(os.path.join(ROOT, "src"), quiet=1)  # as an installation by pip leaves it
    gc.disable()  # as backout has it; the floors that share its process have it, too
    place = Place(folder, options.peer or shutil.which("try"), options.seed)
    told, failed = dict[str, str](), False
    try:
        for name in options.names or NAMES:
            act = OTHERS.get(name) or functools.partial(_measured, name)
            part, is_good = act(place, options.rounds)
            failed = failed or not is_good
            told[name] = part
            sys.stdout.write(part + "\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder)
    if options.write:
        _write(told)
    return int(failed)


def _write(told: dict[str, str]) -> None:
    """Write what was measured into the page; what it has of other benches stays."""
    with open(PAGE, encoding="utf-8") as page:
        before = page.read().partition("\n## ")[2]
    known: dict[str, str] = {}
    for section in before.split("\n## "):
        name = section.partition("(`")[2].partition("`)")[0]
        known[name] = "\n".join(filter(None, (known.get(name), f"## {section.rstrip()}\n")))
    parts = [_machine(), *(part for name in NAMES if (part := told.get(name) or known.get(name)))]
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write("\n".join(parts))


def _measured(name: str, place: Place, rounds: int | None) -> tuple[str, bool]:
    """Hold one contest; gives its part of the page."""
    make, usual = BENCHES[name]
    return _part(name, make(place), rounds or usual), True


def _part(name: str, contest: Contest, rounds: int) -> str:
    return f"## {contest.title} (`{name}`)\n\n{contest.note}\n\n{_table(contest, hold(contest, rounds))}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--rounds", "--runs", type=int, help="how many rounds count; one more warms up")
    parser.add_argument("--seed", type=int, help="what chaos is drawn from; it says which")
    parser.add_argument("--try", dest="peer", metavar="PATH", help="the script of binpash/try, to measure beside")
    parser.add_argument("--write", action="store_true", help="write docs/bench.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no bench is called {unknown[0]}; there are: {', '.join(NAMES)}")
    if os.geteuid():
        parser.error("the benches mount and switch files as root does: run them as root")
    return options


def _machine() -> str:
    """Say what was measured, on what, and how to do it again."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_gib = int(file.readline().split()[1]) / 2**20
    return (
        "# What it costs\n\n"
        f"Measured with `./run bench --write`: backout {__version__}, Python {platform.python_version()}, "
        f"Linux {platform.release().split('-')[0]}, {os.cpu_count()} CPUs, {memory_gib:.0f} GiB, "
        f"/ on {_file_system()}.\n"
        "Parts may be measured one by one. Contenders take turns; a round in which nothing counts comes first. "
        "Your numbers will differ: compare rows, not machines. Nothing here is asserted by a test.\n"
    )


def _file_system() -> str:
    with open("/proc/mounts", encoding="utf-8") as file:
        return next((line.split()[2] for line in file if line.split()[1] == "/"), "?")


def _table(contest: Contest, results: Sequence[Result]) -> str:
    first = results[0].median_s
    rows = [
        f"| {result.name} | {_told(result.median_s)} | {_told(min(result.took_s))} to {_told(max(result.took_s))} "
        f"| {result.median_s / first:.2f} | {len(result.took_s)} |"
        for result in results
    ]
    named = f"| {contest.contenders[0].name.split(' --')[0]} = 1 "
    head = f"| what | median | range {named if len(named) < 40 else '| first = 1 '}| rounds |"  # noqa: PLR2004 - a width
    return "\n".join([head, "| --- | ---: | ---: | ---: | ---: |", *rows, ""])


def _told(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - three or four digits


sys.exit(main())

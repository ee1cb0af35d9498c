"""One tree and one program of edits: bare against applied, taken back against before, on every attribute."""

from __future__ import annotations

import ast
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from backout.host.scan import orphaned_edits
from backout.host.stage import Layer
from backout.host.takeback import Wish, take_back
from kit.bench import Bench
from kit.picture import difference, picture
from kit.programs import SET_TIMES_NS, Step, run

_CHUNK_BYTES = 1 << 20
Picture = dict[bytes, dict[str, Any]]


class Compared(NamedTuple):
    """What came of one tree and one program: `differences` by what was compared, empty when all is as it should be.

    `refused` tells that the product would refuse the change: a file was changed through a name that is then gone, while
    another name remains that cannot be found (traps A3).
    """

    differences: dict[str, Any]
    refused: bool = False


def compare(tree: list[Step], program: list[Step]) -> Compared:
    """Rehearse and apply a program, run it bare on a copy, take it back, and compare."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        bench = Bench(folder)
        bare = folder / "bare"
        bare.mkdir()
        for root in (bench.tree, bare):  # a copy of the tree would not have its holes
            run(tree, root)
        before, log = picture(bench.tree), folder / "answers"
        order = bench.rehearse(lambda root: log.write_text(repr(run(program, root))))
        answers = ast.literal_eval(log.read_text())
        told: dict[str, Any] = {"answers": _otherwise(program, answers, run(program, bare))}
        layer = Layer(os.fsencode(bench.tree), bench.state + b"/stage/" + order.change.encode())
        if orphaned_edits([layer], bench.scanned):
            return Compared({}, refused=True)
        told["rehearsed"] = difference(picture(bench.tree), before)
        after, timed = _plain(picture(bare, times=False)), picture(bare)
        gone = {path for path in before if path not in after}
        told["accounted for"] = accounted(bench) ^ (walked(bench, order.change) | gone)
        bench.apply(order)
        told["applied"] = difference(_plain(picture(bench.tree, times=False)), after)
        told["times"] = _times(picture(bench.tree), timed, before)
        take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}))
        told["taken back"] = difference(picture(bench.tree), before)
    return Compared({what: found for what, found in told.items() if found})


def _otherwise(program: list[Step], viewed: list[int], bare: list[int]) -> list[tuple[Step, int, int]]:
    """Name the steps that worked on one side alone; which of two reasons against a step the kernel names is its own."""
    return [one for one in zip(program, viewed, bare, strict=True) if (one[1] == 0) != (one[2] == 0)]


def _plain(shown: Picture) -> Picture:
    """Leave out whether a small file has holes: copying a file up, overlayfs fills those in pieces of 1 MiB.

    (fs/overlayfs/copy_up.c, OVL_COPY_UP_CHUNK_SIZE.) What was taken back is compared on this, too.
    """
    for one in shown.values():
        if one.get("size", 0) <= _CHUNK_BYTES:
            one.pop("sparse", None)
    return shown


def _times(applied: Picture, bare: Picture, before: Picture) -> Picture:
    """Compare the times that the program set. All others are moments of the one run or of the other.

    Of a file of which nothing else changed the time is left as it was, under all of its names (tests/cases/times-only).
    """

    def untimed(shown: dict[str, Any] | None) -> dict[str, Any]:
        return {key: value for key, value in (shown or {}).items() if key not in ("mtime", "links")}

    meant = {path for path, shown in bare.items() if shown["mtime"] in SET_TIMES_NS}
    same = {path for path in meant if untimed(before.get(path)) == untimed(bare[path])}
    changed = {path for path in meant if same.isdisjoint(bare[path].get("links", [path]))}
    return {
        path: {"applied": applied[path]["mtime"], "bare": bare[path]["mtime"]}
        for path in sorted(changed)
        if applied[path]["mtime"] != bare[path]["mtime"]
    }


def accounted(bench: Bench) -> set[bytes]:
    """Give the paths, below the tree, that the scan found."""
    root = os.fsencode(bench.tree)
    return {os.path.relpath(path, root) for path in bench.scanned.raw if path != root}


def walked(bench: Bench, change: str) -> set[bytes]:
    """Walk the upper layer without the product's help (law 2)."""
    upper = bench.state + b"/stage/" + change.encode() + b"/upper"
    found = set()
    for folder, folders, files in os.walk(upper):
        found |= {os.path.relpath(os.path.join(folder, name), upper) for name in folders + files}
    return found

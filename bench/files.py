"""What many files take: reading what a command did, and carrying it over."""

from __future__ import annotations

import hashlib
import itertools
import os

from backout.host import libc
from backout.host.layerview import LayerView
from backout.host.ledger import Ledger
from backout.host.plan import plan
from backout.host.scan import scan
from backout.host.stage import Layer
from backout.host.transact import Order, Transactions, probe
from backout.lens.meaning import explain
from bench.contest import Contender, Contest, Place

SCANNED, _APPLIED = 100_000, 10_000
_A_FOLDER = 200


def fill(folder: str, count: int) -> None:
    """Write small files, 200 a folder."""
    for number in range(count):
        below = os.path.join(folder, f"d{number // _A_FOLDER}")
        if number % _A_FOLDER == 0:
            os.makedirs(below, exist_ok=True)
        with open(os.path.join(below, f"file{number}.py"), "wb") as file:
            file.write(b"# %d\n" % number * 40)


def _layer(place: Place, name: str) -> Layer:
    """Make a live folder and the stage of a change of it."""
    layer = Layer(os.fsencode(place.fresh(name + "-live")), os.fsencode(place.fresh(name + "-stage")))
    for folder in (layer.upper, layer.displaced):
        os.makedirs(folder, exist_ok=True)
    return layer


def effects(place: Place) -> Contest:
    """Compare reading the layer of 100,000 new files with a bare walk that hashes them."""
    layer = _layer(place, "scan")
    fill(os.fsdecode(layer.upper), SCANNED)

    def read() -> None:
        found = scan([layer], {layer.point: 0})
        if len(found.raw) < SCANNED:
            raise RuntimeError(len(found.raw))

    scanned = scan([layer], {layer.point: 0})
    contenders = [
        Contender("raw effects of 100,000 new files", read),
        Contender("their meaning, by every lens", lambda: explain(scanned.raw, LayerView(scanned, (), {}))),
        Contender("a bare walk that hashes them", lambda: _walk(os.fsdecode(layer.upper))),
    ]
    return Contest("Reading 100,000 files", "Each 240 bytes or more; caches warm.", contenders)


def _walk(folder: str) -> None:
    for below, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(below, name)
            os.lstat(path)
            with open(path, "rb") as file:
                hashlib.sha256(file.read()).hexdigest()


def apply(place: Place) -> Contest:
    """Compare carrying over 10,000 new files, durably, one switch each, with writing them and one sync."""
    numbers = itertools.count()
    orders: list[Order] = []

    def fresh(name: str) -> str:
        """Name a folder of this round alone: ext4 is slow to give out inodes that were freed a moment ago."""
        return f"{name}-{next(numbers)}"

    def rehearse() -> None:
        layer = _layer(place, fresh("apply"))
        for number in range(_APPLIED // _A_FOLDER):
            os.mkdir(layer.point + b"/d%d" % number)
        t0_ns = probe(os.fsencode(place.fresh("apply-state")))
        fill(os.fsdecode(layer.upper), _APPLIED)
        found = scan([layer], {layer.point: t0_ns})
        chosen = plan(found.raw, found.found, {}, [layer])
        orders[:] = [Order(f"change{next(numbers)}", chosen, tuple(found.raw.values()), t0_ns)]

    def carry_over() -> None:
        transactions = Transactions(Ledger(os.fsencode(place.path("apply-state"))), lambda _: "")
        transactions.apply(orders[0], {})
        transactions.keep(orders[0].change, {})

    def rehearse_and_carry_over() -> None:
        rehearse()
        carry_over()

    def write() -> None:
        fill(place.path(fresh("bare")), _APPLIED)
        descriptor = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY)
        libc.syncfs(descriptor, os.fsencode(place.folder))
        os.close(descriptor)

    def only_rehearse() -> None:
        os.sync()
        rehearse()

    contenders = [
        Contender("writing 10,000 files into a layer, reading it, applying it", rehearse_and_carry_over, os.sync),
        Contender("of that, applying it, durably", carry_over, only_rehearse),
        Contender("writing them in place, and one syncfs", write, os.sync),
    ]
    note = (
        "Each file is verified and switched by a rename of its own, between two barriers (syncfs). "
        "All three wait for the same disk, whose mood is most of the range."
    )
    return Contest("Applying 10,000 files", note, contenders)

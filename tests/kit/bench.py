"""A workbench for transactions: a tree, a change made through a real overlay over it, and the transaction applied."""

from __future__ import annotations

import ctypes
import os
import traceback
from collections.abc import Callable
from pathlib import Path

from backout.host import libc
from backout.host.ledger import Ledger
from backout.host.plan import Plan, plan
from backout.host.redirects import renamed, settle
from backout.host.scan import Scan, scan
from backout.host.stage import Layer
from backout.host.transact import Order, Transactions, probe
from backout.lens.noise import fold_noise
from backout.model.ledger import Change

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def in_child(act: Callable[[], None]) -> int:
    """Run a function in a forked child; gives its exit code (128 + signal when it was killed)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def with_own_mounts() -> None:
    """From here on, what this process mounts is seen by it alone, and goes with it."""
    libc.call("unshare", CLONE_NEWNS)
    libc.call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)


def on_own_disk(disk: Path, size_kib: int, act: Callable[[], None]) -> None:
    """Do something in a child while a small file system of its own lies on a folder."""
    disk.mkdir()

    def inside() -> None:
        with_own_mounts()
        size = b"size=%dk" % size_kib
        libc.call("mount", b"tmpfs", os.fsencode(disk), b"tmpfs", ctypes.c_ulong(0), size)
        act()

    assert in_child(inside) == 0


class Bench:
    """One tree below `folder`, its state folder, and the steps from an edit to a change that stands."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.tree.mkdir(parents=True)
        self.state = os.fsencode(folder / "state")
        self.merged = folder / "merged"
        self.merged.mkdir()
        self.ledger = Ledger(self.state)
        self.transactions = Transactions(self.ledger, lambda _: "")
        self.count = 0

    def rehearse(self, edit: Callable[[Path], object], meanwhile: Callable[[], object] | None = None) -> Order:
        """Run `edit(path of the view)` through an overlay; gives the order that would apply it."""
        self.count += 1
        change = f"change{self.count}"
        layer = Layer(os.fsencode(self.tree), self.state + b"/stage/" + change.encode())
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        for path in (layer.upper, layer.work, layer.displaced):
            os.makedirs(path)
        like(self.tree, layer.upper)
        t0_ns = probe(self.state)
        assert in_child(lambda: self._in_view(layer, edit)) == 0
        if meanwhile is not None:
            meanwhile()
        scanned = scan([layer], {layer.point: t0_ns})
        return self.order(change, scanned, layer, t0_ns)

    def order(self, change: str, scanned: Scan, layer: Layer, t0_ns: int) -> Order:
        """Plan what was scanned; what noise rules say of paths is heeded."""
        self.scanned = scanned
        noise, _ = fold_noise(scanned.raw)
        chosen: Plan = plan(scanned.raw, scanned.found, {row.path: row.promotion for row in noise}, [layer])
        return Order(change, chosen, tuple(scanned.raw.values()), t0_ns)

    def _in_view(self, layer: Layer, edit: Callable[[Path], object]) -> None:
        with_own_mounts()
        options = b"lowerdir=%s,upperdir=%s,workdir=%s,index=on,metacopy=off,redirect_dir=on,volatile" % (
            layer.point,
            layer.upper,
            layer.work,
        )
        libc.call("mount", b"overlay", os.fsencode(self.merged), b"overlay", ctypes.c_ulong(0), options)
        edit(self.merged)
        os.chdir("/")
        for path in renamed([layer]):
            settle(os.fsencode(self.merged) + path[len(layer.point) :])
        libc.call("umount2", os.fsencode(self.merged), 0)

    def apply(self, order: Order) -> None:
        """Apply and keep."""
        self.transactions.apply(order, {}, {})
        self.transactions.keep(order.change, {})

    def change(self, name: str) -> Change:
        """Give a change as the ledger tells it."""
        return next(change for change in self.transactions.changes() if change.id == name)


def like(source: Path, target: bytes) -> None:
    """Give a directory the mode, owner and time of another (traps A5)."""
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, status.st_mode & 0o7777)
    for name in os.listxattr(source):
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

"""Random trees and random programs of edits: applied equals the bare run, taken back equals before (laws 2 and 3)."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from backout.host.takeback import Wish, take_back
from kit.bench import Bench
from kit.picture import difference, picture

NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "c/f/g", "c", "c/f", "h", "h/i", "a\n\udcff"])
OPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.binary(max_size=8)),
    st.tuples(st.just("append"), NAMES, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("truncate"), NAMES, st.integers(0, 9000)),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("link"), NAMES, NAMES),
    st.tuples(st.just("symlink"), NAMES, NAMES),
    st.tuples(st.just("unlink"), NAMES, st.none()),
    st.tuples(st.just("mkdir"), NAMES, st.none()),
    st.tuples(st.just("rmtree"), NAMES, st.none()),
    st.tuples(st.just("chmod"), NAMES, st.sampled_from([0o600, 0o755, 0o4711, 0o2750, 0o1777])),
    st.tuples(st.just("chown"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("xattr"), NAMES, st.binary(max_size=4)),
    st.tuples(st.just("fifo"), NAMES, st.none()),
)
PROGRAMS = st.lists(OPS, min_size=1, max_size=8)


def run(program: list[Any], root: Path) -> list[int]:
    """Run a program of edits below a folder; gives each step's errno, 0 when it worked."""
    return [_step(root, *step) for step in program]


def _step(root: Path, verb: str, name: str, other: Any) -> int:
    path = os.path.join(root, name)
    try:
        if verb in ("write", "append"):
            how = os.O_TRUNC if verb == "write" else os.O_APPEND
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | how, 0o644)  # a FIFO must not wait
            os.write(descriptor, other)
            os.close(descriptor)
        elif verb == "rmtree":
            os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY))  # rmtree itself would wait for a writer of a FIFO
            shutil.rmtree(path)
        elif verb == "link":
            os.link(path, os.path.join(root, other), follow_symlinks=False)
        elif verb == "rename":
            os.rename(path, os.path.join(root, other))
        elif verb == "symlink":
            os.symlink(other, path)
        else:
            _metadata(verb, path, other)
    except OSError as error:
        return error.errno or -1
    return 0


def _metadata(verb: str, path: str, other: Any) -> None:
    if verb == "truncate":
        os.truncate(path, other)
    elif verb == "unlink":
        os.unlink(path)
    elif verb == "mkdir":
        os.mkdir(path)
    elif verb == "chmod" and not os.path.islink(path):
        os.chmod(path, other)
    elif verb == "chown":
        os.chown(path, other, other, follow_symlinks=False)
    elif verb == "xattr":
        os.setxattr(path, "user.x", other)
    elif verb == "fifo":
        os.mkfifo(path)


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


@settings(
    max_examples=int(os.environ.get("BACKOUT_EXAMPLES", "150")),
    derandomize="BACKOUT_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(PROGRAMS, PROGRAMS)
def test_applied_equals_bare_and_taken_back_equals_before(tree: list[Any], program: list[Any]) -> None:
    """Whatever a program does: its bits are promoted exactly, and go back exactly."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        bench = Bench(folder)
        run(tree, bench.tree)
        bare = folder / "bare"
        subprocess.run(["cp", "-a", bench.tree, bare], check=True)
        before = picture(bench.tree)
        answers: list[int] = []
        log = folder / "answers"
        order = bench.rehearse(lambda root: log.write_text(repr(run(program, root))))
        answers = [int(word) for word in log.read_text().strip("[]").split(",")]
        assume(errno.EXDEV not in answers)  # renaming a directory of the host: named in the limits
        assert run(program, bare) == answers
        after = picture(bare, times=False)
        assert accounted(bench) == walked(bench, order.change) | {path for path in before if path not in after}
        bench.apply(order)
        assert difference(picture(bench.tree, times=False), after) == {}
        take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}))
        assert difference(picture(bench.tree), before) == {}

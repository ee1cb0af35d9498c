"""Acts in processes of their own, at whose Nth system call a fault is injected: a kill, or an error of the kernel."""

from __future__ import annotations

import collections
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from backout.model.ledger import unfinished
from kit.bench import Bench
from kit.picture import difference, picture

ACT = Path(__file__).parent / "act.py"
SOURCE = Path(__file__).parents[2] / "src"
CHANGING = (
    *("rename", "renameat", "renameat2", "write", "pwrite64", "fsync", "syncfs", "unlink", "unlinkat", "rmdir"),
    *("mkdir", "mkdirat", "link", "linkat", "chmod", "fchmod", "fchmodat", "chown", "fchownat", "utimensat"),
    *("setxattr", "lsetxattr", "removexattr", "lremovexattr", "ftruncate"),
)
OPENING = "openat"
_CALL = re.compile(r"^\d+\s+(\w+)\((.*)$", re.MULTILINE)
_WRITES = re.compile("O_CREAT|O_WRONLY|O_RDWR")
_LOG = b"logs/app.log"


class Call(NamedTuple):
    """The Nth call of a system call in one act."""

    name: str
    number: int


class Ended(NamedTuple):
    """How an act ended: its exit code, the error document of a BackoutError, what else was said; was a fault met."""

    code: int
    error: dict[str, Any] | None
    said: str
    met: bool = False


class Acts:
    """Processes from which acts are forked: as many as there are acts that go on at the same time."""

    def __init__(self, sources: Sequence[subprocess.Popen[str]]) -> None:
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for source in sources:
            self._free.put(source)

    def run(self, state: Path, *verb: str, strace: Sequence[str] = ()) -> Ended:
        """Run one act, under strace when that is told anything."""
        source = self._free.get()
        assert source.stdin is not None
        assert source.stdout is not None
        try:
            source.stdin.write(json.dumps([str(state), strace, *verb]) + "\n")
            source.stdin.flush()
            code = int(source.stdout.readline())
        finally:
            self._free.put(source)
        assert code != -signal.SIGALRM, "the act did not end"
        told = (state / "told").read_text()
        return Ended(code, json.loads(told) if told else None, (state / "said").read_text())


@contextmanager
def acting(count: int = 1) -> Iterator[Acts]:
    """Give what runs so many acts at a time. Each looks through the processes of the host, which are few for it."""
    environ = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]}
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B", str(ACT)]
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        sources = [subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
        for source in sources:
            stack.enter_context(source)
            stack.callback(source.kill)
        yield Acts(sources)


def _tree(tree: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc/app.conf").write_text("workers = 2\n")
    os.setxattr(tree / "etc", "user.old", b"old")
    (tree / "logs").mkdir()
    (tree / os.fsdecode(_LOG)).write_text("began\n")
    (tree / "old/deep").mkdir(parents=True)
    (tree / "old/deep/file").write_text("old")
    (tree / "one").write_text("shared")
    os.link(tree / "one", tree / "two")
    (tree / "gone").write_text("gone")
    (tree / "stays").write_text("stays")
    (tree / "link").symlink_to("old")


def _edit(tree: Path) -> None:
    (tree / "etc/app.conf").write_text("workers = 4\n")
    (tree / "etc").chmod(0o711)
    os.chown(tree / "etc", 1, 1)
    os.removexattr(tree / "etc", "user.old")
    os.setxattr(tree / "etc", "user.new", b"new")
    with (tree / os.fsdecode(_LOG)).open("a") as log:
        log.write("went on\n")
    shutil.rmtree(tree / "old")
    shutil.copytree(tree / "etc", tree / "new")
    (tree / "one").write_text("both")
    (tree / "gone").unlink()
    os.link(tree / "stays", tree / "stays too")
    (tree / "link2").symlink_to("etc")
    (tree / "link2").rename(tree / "link")


class Stage:
    """A workbench whose change can be applied, undone and recovered by processes that meet a fault."""

    def __init__(self, acts: Acts, folder: Path, new: dict[bytes, Any] | None = None) -> None:
        self.acts = acts
        self.bench = Bench(folder)
        _tree(self.bench.tree)
        self.old = self.picture()
        self.order = self.bench.rehearse(_edit)
        self.state = Path(os.fsdecode(self.bench.state))
        (self.state / "order.pickle").write_bytes(pickle.dumps(self.order))
        self.new = new or {}
        """What the tree is when the change is applied; without times, which the clock gives."""

    def picture(self, *, times: bool = True) -> dict[bytes, Any]:
        """Describe the tree without its log: what each apply appended there is noise, and stays."""
        shown = picture(self.bench.tree, times=times)
        assert re.fullmatch(rb"began\n(went on\n)*", shown.pop(_LOG)["content"])
        return shown

    def injected(self, error: str, call: Call, *verb: str, onward: bool = False) -> Ended:
        """Run an act in which a call, and with `onward` every later one of its name, fails with an error's name."""
        when = f"{call.number}+" if onward else str(call.number)
        log = self.state / "strace"
        inject = f"inject={call.name}:error={error}:when={when}"
        ended = self.acts.run(self.state, *verb, strace=_strace(str(log), call.name, "-e", inject))
        met = next((line for line in log.read_text(errors="replace").splitlines() if "(INJECTED)" in line), "")
        return ended._replace(met=bool(met) and (call.name != OPENING or bool(_WRITES.search(met))))

    def killed(self, call: Call, *verb: str) -> int:
        """Run an act and kill it at the Nth call of a system call; gives its exit code."""
        inject = f"inject={call.name}:signal=SIGKILL:when={call.number}"
        return self.acts.run(self.state, *verb, strace=_strace("/dev/null", call.name, "-e", inject)).code

    def calls(self, *verb: str, opening: bool = False) -> list[Call]:
        """Run an act whole and list every state-changing call that it makes.

        With `opening`, those that open a file for writing, too. Their numbers are a guess for the next run: how often
        a file is opened to be compared depends on the clock.
        """
        log = self.state / "strace"
        traced = ",".join((*CHANGING, OPENING) if opening else CHANGING)
        ended = self.acts.run(self.state, *verb, strace=_strace(str(log), traced))
        assert ended.code == 0, ended
        counts: dict[str, int] = collections.Counter()
        calls = []
        for name, arguments in _CALL.findall(log.read_text(errors="replace")):
            counts[name] += 1
            if name != OPENING or _WRITES.search(arguments):
                calls.append(Call(name, counts[name]))
        log.unlink()
        return calls

    def recover(self) -> None:
        """Recover here, with no fault: the ledger is whole then, and nothing is unfinished."""
        list(self.bench.transactions.recover(lambda _: True))
        assert unfinished(self.bench.transactions.changes()) == []

    def is_whole(self) -> str:
        """Tell that the tree is all-old or all-new; anything else fails."""
        if self.picture() == self.old:
            return "old"
        untimed = self.picture(times=False)
        assert difference(untimed, self.new) == {}, difference(untimed, self.old)
        return "new"


def _strace(log: str, traced: str, *more: str) -> tuple[str, ...]:
    return ("-o", log, "-e", f"trace={traced}", *more)

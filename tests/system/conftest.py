"""Real views of this machine: each in a folder of its own on the root file system, and nothing of them left."""

from __future__ import annotations

import codecs
import ctypes
import json
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backout.host.libc import call
from backout.host.mounting import make_private
from backout.host.sandbox import Prepared, Sandbox
from kit.cli import Backout
from kit.host_state import HostState, unchanged
from kit.rollout import Shops
from kit.sshd import Host, World, world

_NEWNS = 0x00020000
_PR_SET_DUMPABLE = 4
PATH = {b"PATH": b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """Give the command line in a fresh folder with one file in it."""
    backout = Backout(tmp_path)
    (backout.folder / "app.conf").write_text("workers = 2\n")
    return backout


@pytest.fixture
def web1(reach: World) -> Host:
    """The first host of a world, which every test file over ssh makes for itself as `reach`."""
    return reach.hosts["web1"]


@pytest.fixture(scope="module")
def three_shops() -> Iterator[Shops]:
    """Three hosts, for all tests of a file."""
    with world() as reach:
        yield Shops(reach)


@pytest.fixture
def shops(three_shops: Shops) -> Shops:
    """The hosts as they were: a canary, then one after the other."""
    three_shops.begin()
    return three_shops


class Ran(NamedTuple):
    """What a command in a view gave, and what was recorded: file contents of each layer by live path."""

    code: int
    out: str
    err: str
    limits: list[str]
    recorded: dict[str, str]
    points: list[str]


class Place:
    """A folder to play in, with the state folder of its own beside."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.state = os.fsencode(root) + b"/state"

    def path(self, name: str) -> str:
        """Name something in it."""
        return os.path.join(self.root, name)

    def write(self, name: str, content: str, mode: int = 0o644) -> str:
        """Make a file."""
        with open(self.path(name), "w") as file:
            file.write(content)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def sandbox(self, network: str = "none", shims: Prepared | None = None) -> Sandbox:
        """Make a view that is not entered yet."""
        near = (os.fsencode(self.root),)
        return Sandbox("change", self.state, network, shims, near)

    def run(
        self,
        *argv: str | bytes,
        network: str = "none",
        shims: Prepared | None = None,
        env: Mapping[bytes, bytes] | None = None,
        **how: Any,
    ) -> Ran:
        """Run a command in a view, in this folder; one word goes to a shell. Nothing is left afterwards."""
        words = [os.fsencode(word) for word in argv]
        if len(words) == 1:
            words = [b"sh", b"-c", words[0]]
        heard: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        sandbox = self.sandbox(network, shims)
        try:
            with sandbox:
                code = sandbox.run(
                    words, os.fsencode(self.root), {**PATH, **(env or {})}, lambda n, d: heard[n].extend(d), **how
                )
                sandbox.freeze()
                points = [os.fsdecode(layer.point) for layer in sandbox.layers]
                out, err = (bytes(heard[name]).decode(errors="surrogateescape") for name in heard)
                return Ran(code, out, err, sandbox.limits, recorded(sandbox), points)
        finally:
            sandbox.close(keep=False)


def recorded(sandbox: Sandbox) -> dict[str, str]:
    """Give the content of every regular file in the uppers; names of whiteouts with a mark for content."""
    found = {}
    for layer in sandbox.layers:
        for folder, _, names in os.walk(layer.upper):
            for name in names:
                path = os.path.join(folder, name)
                live = os.path.normpath(os.path.join(layer.point, os.path.relpath(path, layer.upper)))
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[os.fsdecode(live)] = file.read().decode(errors="surrogateescape")
                else:
                    found[os.fsdecode(live)] = "(whiteout or special)"
    return found


@pytest.fixture
def place() -> Iterator[Place]:
    """A folder that everybody may look into."""
    root = tempfile.mkdtemp(prefix="backout-test-", dir="/var/tmp")
    os.chmod(root, 0o755)
    yield Place(root)
    shutil.rmtree(root)


@pytest.fixture
def host_state(place: Place) -> Iterator[HostState]:
    """Compare the host before the test with the host after it."""
    os.mkdir(place.state, 0o700)
    with unchanged(place.root, os.fsdecode(place.state)) as host:
        yield host


InChild = Callable[..., Any]


@pytest.fixture
def in_child() -> Iterator[InChild]:
    """Run a function in a process of its own, with own mounts or as another user; its result comes back as JSON."""
    children: list[int] = []

    def run(function: Callable[[], Any], *, own_mounts: bool = False, uid: int = 0) -> Any:
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            _be(function, tell, own_mounts=own_mounts, uid=uid)
        os.close(tell)
        children.append(child)
        with open(told) as file:
            answer = json.loads(file.read() or '{"bug": "it died"}')
        os.waitpid(children.pop(), 0)
        assert "bug" not in answer, answer["bug"]
        return answer["result"]

    yield run
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _be(function: Callable[[], Any], tell: int, *, own_mounts: bool, uid: int) -> None:
    try:
        if own_mounts:
            call("unshare", _NEWNS)
            make_private()
        if uid:
            codecs.lookup("ascii")  # while the interpreter's own files can still be read
            os.setgroups(())
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            call("prctl", _PR_SET_DUMPABLE, ctypes.c_ulong(1))  # as a process has that was started by this user
        answer = {"result": function()}
    except BaseException:  # noqa: BLE001 - the test shows it
        answer = {"bug": traceback.format_exc()}
    with open(tell, "w") as file:
        json.dump(answer, file)
    os._exit(0)


@pytest.fixture
def processes_with() -> Callable[[str], Sequence[int]]:
    """Find the processes of this machine that have a word in their command line."""

    def find(word: str) -> list[int]:
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit():
                    with open(f"/proc/{name}/cmdline", "rb") as file:
                        if word.encode() in file.read() and int(name) != os.getpid():
                            found.append(int(name))
            except OSError:
                continue
        return found

    return find

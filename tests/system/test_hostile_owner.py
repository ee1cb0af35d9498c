"""Laws 2 and 4 against a user who owns a folder in the tree that root changes: names swapped at the worst moment.

Whoever may rename in a folder could else have root read, write, or give away what lies outside (traps C9).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from backout.errors import BackoutError, ConflictError, NeedsPersonError
from backout.host import execute, inplace, libc, transact, tree
from backout.host.archive import drop_stages
from backout.host.execute import Executor
from backout.host.folders import remove_tree
from backout.host.inplace import append_suffix
from backout.host.shims import Shims, remove_traces
from backout.host.stage import Layer
from backout.host.takeback import Wish, take_back
from backout.host.tree import Name, Parents, open_file, open_path, state_of
from backout.model.step import Step
from kit.bench import Bench, in_child
from kit.picture import difference, picture
from kit.user import USER

ROUNDS = int(os.environ.get("BACKOUT_EXAMPLES", "15"))
VERBS = ("apply", "undo", "back_out", "recover")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A tree with a folder `d` of a user's, in which there is one of everything that a step can be for."""
    tmp_path.chmod(0o755)
    return _bench(tmp_path)


def _bench(folder: Path) -> Bench:
    bench = Bench(folder)
    _furnish(bench.tree / "d", "old")
    for path in (bench.tree, *sorted(bench.tree.rglob("*"))):
        os.chown(path, USER, USER, follow_symlinks=False)
    return bench


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder outside the tree, of root's, with the same names in it as the user's."""
    _furnish(tmp_path / "victim", "precious")
    return tmp_path / "victim"


def _furnish(folder: Path, content: str) -> None:
    (folder / "sub").mkdir(parents=True)
    for name in ("f", "gone", "twin", "sub/deep"):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    os.link(folder / "twin", folder / "twin2")
    (folder / "app.log").write_text("began\n")


def _edit(root: Path) -> None:
    folder = root / "d"
    (folder / "f").write_text("ours")
    (folder / "gone").unlink()
    (folder / "new").write_text("new")
    (folder / "twin").write_text("ours, longer")
    (folder / "twin").chmod(0o4755)
    (folder / "sub").chmod(0o777)
    os.chown(folder / "sub", USER, 0)
    os.setxattr(folder / "sub", "user.mark", b"ours")
    with (folder / "app.log").open("a") as log:
        log.write("went on\n")


def _swap(one: Path, other: Path) -> None:
    libc.renameat2(os.fsencode(one), os.fsencode(other), libc.RENAME_EXCHANGE)


def _act(bench: Bench, verb: str, order: transact.Order) -> None:
    """Carry out what a test is about, after what must come before it."""
    if verb == "apply":
        bench.apply(order)
    elif verb == "undo":
        take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}))
    elif verb == "back_out":
        bench.transactions.back_out(bench.change(order.change))
    else:
        list(bench.transactions.recover(lambda _: True))


def _begin(bench: Bench, verb: str) -> transact.Order:
    """Do what comes before: a change that is rehearsed, kept, applied, or broken off."""
    order = bench.rehearse(_edit)
    if verb == "undo":
        bench.apply(order)
    elif verb == "back_out":
        bench.transactions.apply(order, {}, {})
    elif verb == "recover":

        def broken_off() -> None:
            vars(transact)["set_times"] = lambda _: os.kill(os.getpid(), signal.SIGKILL)
            bench.apply(order)

        assert in_child(broken_off) == 128 + signal.SIGKILL
    return order


@pytest.mark.parametrize("name", ["d", "d/sub"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_link_in_a_folders_place_leads_no_step_outside(
    bench: Bench, victim: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    """Law 4: swapped right before each step in turn, after all was verified; `..` cannot lead out, either."""
    order = _begin(bench, verb)
    folder, link = bench.tree / name, bench.tree / "link"
    link.symlink_to(victim if name == "d" else victim / "sub")
    before, did = picture(victim), 0
    for method in ("perform", "_revert"):
        real = getattr(Executor, method)

        def swapped(self: Executor, step: Step, real: Callable[..., Any] = real) -> Any:
            nonlocal did
            did += 1
            self.close()  # what was open before could not be led anywhere
            _swap(folder, link)
            try:
                return real(self, step)
            finally:
                _swap(folder, link)

        monkeypatch.setattr(Executor, method, swapped)
    with contextlib.suppress(BackoutError):
        _act(bench, verb, order)
    assert did
    assert difference(picture(victim), before) == {}


@pytest.mark.parametrize("kind", ["link", "name"])
@pytest.mark.parametrize("verb", VERBS)
def test_metadata_is_set_on_what_was_looked_at(
    bench: Bench, victim: Path, monkeypatch: pytest.MonkeyPatch, verb: str, kind: str
) -> None:
    """Law 4: between the look at a path and chmod or chown its name is given to a link, or to another file."""
    order = _begin(bench, verb)
    before, real, did = picture(victim, times=False), inplace.set_metadata, 0
    at = {b"twin": "twin", b"sub": "sub"}

    def swapped(descriptor: int, want: Any) -> None:
        nonlocal did
        last = os.path.basename(os.readlink(b"/proc/self/fd/%d" % descriptor))
        ours, theirs = bench.tree / "d" / at[last], bench.tree / "theirs"
        if kind == "link":
            theirs.symlink_to(victim / at[last])
        elif last == b"twin":
            os.link(victim / "twin", theirs)
        else:
            theirs.mkdir(mode=0o700)
        _swap(ours, theirs)
        did += 1
        try:
            real(descriptor, want)
        finally:
            _swap(ours, theirs)
            theirs.rmdir() if theirs.is_dir() and not theirs.is_symlink() else theirs.unlink()

    monkeypatch.setattr(inplace, "set_metadata", swapped)
    monkeypatch.setattr(execute, "set_metadata", swapped)
    _act(bench, verb, order)
    assert did == 2
    shown = picture(victim, times=False)
    assert difference(shown, before) == {}
    mode = stat.S_IMODE((bench.tree / "d/twin").stat().st_mode)
    assert mode == (0o4755 if verb == "apply" else 0o600)


@pytest.mark.parametrize("verb", VERBS)
def test_a_link_in_a_files_place_gets_no_metadata_and_no_content(bench: Bench, victim: Path, verb: str) -> None:
    """Law 4: the name leads to a file of root's before the step, and until after it."""
    order = _begin(bench, verb)
    before = picture(victim)
    for name in ("twin", "sub"):
        (bench.tree / "d" / name).rename(bench.tree / f"{name}.aside")
        (bench.tree / "d" / name).symlink_to(victim / name)
    with pytest.raises((ConflictError, NeedsPersonError)):
        _act(bench, verb, order)
    assert difference(picture(victim), before) == {}


@pytest.mark.parametrize("verb", VERBS)
def test_another_file_of_roots_under_the_name_is_not_written(bench: Bench, victim: Path, verb: str) -> None:
    """Law 4: where the kernel lets users link to files of others (fs.protected_hardlinks=0), a name proves nothing."""
    order = _begin(bench, verb)
    before = picture(victim, times=False)
    (bench.tree / "d/twin").unlink()
    os.link(victim / "twin", bench.tree / "d/twin")
    with pytest.raises((ConflictError, NeedsPersonError)):
        _act(bench, verb, order)
    assert (bench.tree / "d/twin").samefile(victim / "twin")
    (bench.tree / "d/twin").unlink()
    assert difference(picture(victim, times=False), before) == {}


def test_a_log_of_another_owner_gets_no_suffix(bench: Bench, victim: Path) -> None:
    """Traps C6: what is appended to a log must not be appended to a file that was given its name."""
    log, source = bench.tree / "d/app.log", bench.tree / "longer"
    parents, stage = Parents(), Parents()
    state = state_of(parents.name(os.fsencode(log)))
    assert state is not None
    source.write_text("began\nroot::0:0::/:/bin/sh\n")
    log.unlink()
    os.link(victim / "f", log)
    assert not append_suffix(parents.name(os.fsencode(log)), stage.name(os.fsencode(source)), state)
    assert (victim / "f").read_text() == "precious"


def test_a_pipe_in_a_files_place_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may rename could else have root wait for ever, with the host's lock held: here between fstat and open."""
    file, pipe = bench.tree / "d/f", bench.tree / "pipe"
    os.mkfifo(pipe)
    real = tree.held

    @contextlib.contextmanager
    def swapped(name: Name) -> Iterator[int]:
        with real(name) as descriptor:
            _swap(file, pipe)
            yield descriptor

    monkeypatch.setattr(tree, "held", swapped)
    parents = Parents()
    state = state_of(parents.name(os.fsencode(file)))
    assert state is not None
    assert state.sha256 == hashlib.sha256(b"old").hexdigest()
    with pytest.raises(OSError, match="no file"):
        open_file(parents.name(os.fsencode(file)))


def test_edits_that_are_kept_are_copied_from_the_tree_alone(bench: Bench, victim: Path) -> None:
    """Law 2: `back --keep-edits` saves a copy of an edited file; what a link leads to is no edit."""
    order = bench.rehearse(_edit)
    bench.apply(order)
    (bench.tree / "d/f").unlink()
    (bench.tree / "d/f").symlink_to(victim / "f")
    change = bench.change(order.change)
    told = take_back(bench.transactions, bench.ledger, Wish(change, "undo", {}, "keep"))
    assert told["edited"] == [str(bench.tree / "d/f")]
    assert told["saved"] == []


def test_a_stage_that_was_led_elsewhere_is_not_removed(tmp_path: Path, victim: Path) -> None:
    """A stage lies at the root of its mount, which may be a user's own: its folder can be renamed there."""
    (tmp_path / ".backout").symlink_to(victim)
    before = picture(victim)
    folder = os.fsencode(tmp_path) + b"/.backout/sub"
    remove_tree(folder)
    drop_stages([folder])
    assert difference(picture(victim), before) == {}


def test_a_folder_that_the_command_made_a_link_leads_no_tidying_out_of_the_layer(tmp_path: Path) -> None:
    """Law 1: after a rehearsal the stand-ins' traces are removed from the layers, as root and by name."""
    host, layer = tmp_path / "host", Layer(b"/", os.fsencode(tmp_path / "stage"))
    host.mkdir()
    for name in ("tool.real", "diversions"):
        (host / name).write_text("precious")
    upper = Path(os.fsdecode(layer.upper))
    upper.mkdir(parents=True)
    for place in ("sbin", "var"):
        (upper / place).symlink_to(host)
    before = picture(host)
    shims = Shims(b"/nowhere", {b"tool": b"/sbin/tool"}, b"", {b"/sbin/tool": b"/sbin/tool.real"})
    remove_traces([layer], shims)
    assert difference(picture(host), before) == {}


def test_no_path_of_ours_climbs(tmp_path: Path) -> None:
    """A plan that was tampered with could else name a folder outside by way of one inside."""
    with pytest.raises(OSError, match="climbs"):
        open_path(os.fsencode(tmp_path) + b"/..")


@contextlib.contextmanager
def _swapping(tree: Path, one: str, other: str) -> Iterator[None]:
    """Have an unprivileged process exchange two names in a tree as fast as it can; at least once."""
    swapped, swap = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(tree)  # the folders above need not be open to everybody
        _keep_swapping(Path(one), Path(other), swap)
    os.close(swap)
    try:
        assert os.read(swapped, 1) == b"."
        yield
    finally:
        os.close(swapped)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _keep_swapping(one: Path, other: Path, told: int) -> NoReturn:
    try:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        _swap(one, other)
        os.write(told, b".")
        while True:
            with contextlib.suppress(OSError):
                _swap(one, other)
    finally:
        os._exit(1)  # never back into pytest


@pytest.mark.parametrize("name", ["d", "d/sub", "d/f", "d/twin"])
def test_an_owner_who_swaps_names_all_the_while_reaches_nothing_outside(
    tmp_path: Path, victim: Path, name: str
) -> None:
    """Laws 2 and 4, raced: scanned, applied, taken back and recovered under a loop of exchanges."""
    tmp_path.chmod(0o755)
    before, scanned = picture(victim), set()
    for number in range(ROUNDS):
        bench = _bench(tmp_path / f"round{number}")
        link = bench.tree / "link"
        link.symlink_to(victim if name == "d" else victim / name.removeprefix("d/"))
        os.chown(link, USER, USER, follow_symlinks=False)
        with contextlib.ExitStack() as stack:
            swap = partial(stack.enter_context, _swapping(bench.tree, name, "link"))
            with contextlib.suppress(OSError, BackoutError):
                order = bench.rehearse(_edit, swap)
                scanned |= {side.sha256 for raw in order.raw for side in raw[1:] if side is not None}
                bench.apply(order)
            for change in bench.transactions.changes():
                with contextlib.suppress(OSError, BackoutError):
                    _act(bench, "undo" if change.stands else "recover", order)
        assert difference(picture(victim), before) == {}
    assert scanned
    assert hashlib.sha256(b"precious").hexdigest() not in scanned

"""The throwaway copy-on-write view of this host, in which one command is rehearsed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat as st
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from backout.errors import BackoutError, FailedError, NotPossibleError, from_document
from backout.host import network as networks
from backout.host import proxy, reaper, redirects, refused
from backout.host.assemble import RECORD, WITH_CHANGE, WITHOUT_CHANGE, Recipe, assemble
from backout.host.bounds import Bounds, be_the_first_to_go, read_to_the_end, too_many
from backout.host.channel import Channel, as_bytes, as_text, close_all, no_message
from backout.host.folders import (
    CHECK_UPPER,
    CHECK_WORK,
    FROZEN_WORK,
    Folders,
    copy_appearance,
    copy_held_appearance,
    remove_tree,
)
from backout.host.mounts import read, visible
from backout.host.namespaces import Keeper, hosts_first, hosts_first_environ, look_like_the_hosts_first, start
from backout.host.rootless import Layout, near_folders
from backout.host.session import Session
from backout.host.stage import Layer
from backout.host.tree import GONE, Parents, open_file, state_of
from backout.host.view import COPY, View, plan_view
from backout.model import shape
from backout.model.state import State

_NAMED = 5
_DOCUMENT = shape.fields({"exit_code": shape.whole, **dict.fromkeys(("what", "state", "next"), shape.text)})
_ERROR, _BUG = shape.fields({"error": _DOCUMENT}, closed=True), shape.fields({"bug": shape.text}, closed=True)
_GREETING = shape.either(_ERROR, _BUG, shape.fields({"limits": shape.many(shape.text)}, closed=True))
_OUTCOME = shape.either(_ERROR, _BUG, shape.fields({"result": shape.anything}, closed=True))
_TYPES = ((st.S_ISDIR, "dir"), (st.S_ISREG, "file"))


class Prepared(Protocol):
    """What `shims.build` gives; a protocol, so that a rehearsal can do without."""

    @property
    def folder(self) -> bytes:
        """Name the folder that goes on top of the layers, as one tree."""

    @property
    def real(self) -> Mapping[bytes, bytes]:
        """Name host files to be seen in /dev/.backout/real."""

    @property
    def requests(self) -> bytes:
        """Name the host file to be written as /dev/.backout/requests."""

    def answering(self) -> AbstractContextManager[None]:
        """Answer what the stand-ins ask meanwhile."""


class _Parts(NamedTuple):
    """What both views are made of."""

    view: View
    layers: dict[bytes, Layer]
    copies: dict[bytes, bytes]
    open_folders: tuple[bytes, ...]


class Sandbox:
    """One rehearsal: enter it, `run` the command, `freeze`, then read the layers and `call` checks.

    With `fill` there is no command: that is given the empty layers, and lays into them what there is to be seen.

    Until it is entered nothing exists. Leaving it ends every process and mount; the layers' uppers stay for the apply,
    unless an exception goes through: then they go, too. A SIGKILL of this process ends the same things, and leaves
    only stage folders, which `gc` removes.

    `layers` are the overlaid mounts, `t0_ns` their base (traps B9), `limits` what was not as on the host, in sentences.
    `copies` maps mount points of single files to the private copies that the command worked on.
    `near` names paths that the command will use: without root, layers are made where they need one.
    `proxy_socket` listens on the view's loopback at `proxy_port`, for network "packages" only.
    """

    def __init__(
        self,
        change: str,
        state: bytes,
        network: str = networks.PACKAGES,
        shims: Prepared | None = None,
        near: Sequence[bytes] = (),
        *,
        fill: Callable[[Sequence[Layer]], None] | None = None,
    ) -> None:
        self._fill = fill
        self._near = near or near_folders(dict(os.environb), os.getcwdb())
        self._change, self._state, self._network, self._shims = change, state, network, shims
        self._rootless = os.geteuid() != 0
        self._folders: Folders | None = None
        self._parts = _Parts(View((), ()), {}, {}, ())
        self._keeper: Keeper | None = None
        self.layers: tuple[Layer, ...] = ()
        self.t0_ns: dict[bytes, int] = {}
        self.limits: list[str] = []
        self.proxy_socket: socket.socket | None = None
        self.proxy_port = 0

    @property
    def copies(self) -> dict[bytes, bytes]:
        """Give the private copies of single-file mounts, by mount point."""
        return self._parts.copies

    @property
    def primary(self) -> bytes:
        """Name the change's folder below the state folder."""
        return self._home.primary

    def __enter__(self) -> Sandbox:  # noqa: PYI034 - typing.Self is newer than Python 3.9
        """Make the folders, the namespaces and the mounts. NotPossibleError says what this host does not give."""
        try:
            self._prepare()
            if self._fill is None:
                self._keeper = self._start(RECORD)
            else:
                self._fill(self.layers)
        except OSError as error:
            self.close(keep=False)
            raise FailedError(f"The view could not be prepared: {error}.", next="backout doctor") from error
        except BaseException:
            self.close(keep=False)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End everything; keep the uppers when nothing went wrong."""
        self.close(keep=kind is None)

    def _prepare(self) -> None:
        mounts = read()
        shown = visible(mounts)
        layout = Layout(shown, self._near) if self._rootless else None
        view = plan_view(mounts, _file_type, layout)
        self._folders = folders = Folders(self._change, self._state, shown)
        layers = folders.make(view.pieces)
        self.layers = tuple(layer for point, layer in layers.items() if point not in folders.closed)
        place = folders.primary + b"/place"
        os.mkdir(place, 0o700)
        open_folders = tuple(layout.visited) if layout else ()
        self._parts = _Parts(view, layers, _private_copies(view, folders.primary), open_folders)
        self.limits += view.limits
        self.limits += layout.limits(folders.elsewhere) if layout else []
        if self._network == networks.HOST:
            self.limits.append(networks.HOST_NETWORK_LIMIT)
        self.t0_ns = folders.times(self.layers)

    def _start(self, mode: str, function: Callable[[], Any] | None = None) -> Keeper:
        """Make a view and wait until it stands."""
        recipe, comm = self._recipe(mode), hosts_first()
        own_network = self._network != networks.HOST
        host = networks.snapshot() if own_network else None
        listen = self._network == networks.PACKAGES and mode == RECORD

        def first(channel: Channel) -> None:
            os.umask(0)
            _set_up(channel, recipe, host, listen=listen)
            be_the_first_to_go(rootless=self._rootless)
            look_like_the_hosts_first(comm)
            reaper.serve(channel, function, rootless=self._rootless)

        keeper = start(first, own_network=own_network)
        try:
            self._greet(keeper, mode)
        except BaseException:
            keeper.end()
            raise
        return keeper

    def _greet(self, keeper: Keeper, mode: str) -> None:
        message = keeper.channel.receive()
        if message is None:
            raise FailedError("The sandbox of the rehearsal ended while it was made.")
        greeting, descriptors = message
        sockets = [one for one in descriptors if "limits" in greeting and st.S_ISSOCK(os.fstat(one).st_mode)]
        if not _GREETING(greeting) or len(sockets) < len(descriptors) or len(sockets) > 1:
            close_all(descriptors)
            no_message()
        if "error" in greeting:
            raise from_document(greeting["error"])
        if "bug" in greeting:
            raise RuntimeError(greeting["bug"])
        if mode == RECORD or self._fill is not None:
            self.limits += [limit for limit in greeting["limits"] if limit not in self.limits]
        if descriptors:
            self.proxy_socket = socket.socket(fileno=descriptors[0])
            self.proxy_port = self.proxy_socket.getsockname()[1]

    def _recipe(self, mode: str) -> Recipe:
        parts, shims = self._parts, self._shims
        if mode != RECORD:
            self._make_scratch()
        return Recipe(
            view=parts.view,
            layers=parts.layers,
            place=self._home.primary + b"/place",
            mode=mode,
            own_network=self._network != networks.HOST,
            rootless=self._rootless,
            copies=parts.copies,
            masks=self._masks(),
            open_folders=parts.open_folders,
            shims=None if shims is None else shims.folder,
            real={} if shims is None else shims.real,
            requests=None if shims is None else shims.requests,
            first_environ=hosts_first_environ(),
        )

    @property
    def _home(self) -> Folders:
        if self._folders is None:
            raise RuntimeError("the sandbox was not entered")
        return self._folders

    def _masks(self) -> list[bytes]:
        """Name what of ours lies in the tree: the state folder, and stages at mount roots."""
        found = [os.path.realpath(self._state)]
        for layer in self.layers:
            with contextlib.suppress(OSError):
                names = [name for name in os.listdir(layer.point) if name.startswith(b".backout")]
                found += [os.path.join(layer.point, name) for name in names]
        return found

    def _make_scratch(self) -> None:
        for layer in self._parts.layers.values():
            for name in (FROZEN_WORK, CHECK_UPPER, CHECK_WORK):
                remove_tree(layer.folder + name)
                os.mkdir(layer.folder + name, 0o700)
            copy_appearance(layer.upper, layer.folder + CHECK_UPPER)

    def run(  # noqa: PLR0917 - what, where and how: in the order in which one says it
        self,
        argv: Sequence[bytes],
        cwd: bytes,
        env: Mapping[bytes, bytes],
        on_output: Callable[[str, bytes], None],
        stdin: int | None = None,
        timeout_s: float | None = None,
        terminal: bool = False,  # noqa: FBT001, FBT002 - as the wire names it
    ) -> int:
        """Run a command as the caller's user; give its exit code, 128 and the signal when one ended it.

        Output goes to `on_output` ("stdout" or "stderr", bytes) as it comes; `terminal` gives it one of its own, all
        output being stdout then. When it has ended, what it left running is ended and named in `limits`. FailedError
        when it cannot be started, or went past a bound (`bounds`): then the view is gone as well.
        """
        if self._keeper is None:
            raise RuntimeError("the view is not there: not entered, or frozen")
        order = {
            "argv": [as_text(word) for word in argv],
            "cwd": as_text(cwd),
            "env": {as_text(name): as_text(value) for name, value in env.items()},
            "terminal": terminal,
            "umask": _umask(),
        }
        bounds = self._bounds(timeout_s)
        session = Session(self._keeper.channel, on_output, bounds.check)
        try:
            with self._answering():
                answer = session.run({"run": order}, stdin, terminal=terminal)
            bounds.check_space()
        except BaseException:
            self._end_view()
            raise
        if "too_many" in answer:
            self._end_view()
            raise too_many()
        if "failed" in answer:
            raise _cannot_start(answer["failed"], argv, cwd)
        self._name_the_left(answer["left"])
        self._name_what_is_not_kept(answer["in_memory"])
        if answer["tried"]:
            self.limits.append(refused.sentence(answer["tried"]))
        status = answer["status"]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _bounds(self, timeout_s: float | None = None) -> Bounds:
        return Bounds([layer.folder for layer in self.layers], timeout_s)

    def _answering(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self._shims is None else self._shims.answering()

    def _name_the_left(self, left: list[str]) -> None:
        if left:
            names = ", ".join(os.fsdecode(as_bytes(name)) for name in dict.fromkeys(left))
            many = "1 process" if len(left) == 1 else f"{len(left)} processes"
            self.limits.append(
                f"{many} left behind by the command {'was' if len(left) == 1 else 'were'} ended: {names}."
            )

    def _name_what_is_not_kept(self, in_memory: list[str]) -> None:
        if in_memory:
            names = ", ".join(os.fsdecode(as_bytes(name)) for name in in_memory[:_NAMED])
            more = f" and {len(in_memory) - _NAMED} more" if len(in_memory) > _NAMED else ""
            what = f"{names}{more}"
            self.limits.append(f"Shared memory is private to a rehearsal; what was left in /dev/shm is gone: {what}.")

    def freeze(self) -> None:
        """End the view: from here on the uppers are final. Again is fine."""
        self._settle_renamed()
        self._end_view()
        for point, copy in self._parts.copies.items():
            if not _same(point, copy):
                name = os.fsdecode(point)
                self.limits.append(
                    f"{name} was changed in the rehearsal; it is a mount of its own and is not carried over."
                )

    def _settle_renamed(self) -> None:
        paths = [] if self._keeper is None or self._rootless else redirects.renamed(self.layers)
        if self._keeper is None or not paths:
            return
        self._keeper.channel.send({"settle": [as_text(path) for path in paths]})
        answer, _ = self._keeper.channel.receive() or ({"failed": {"path": as_text(paths[0]), "errno": errno.EIO}}, [])
        if "failed" in answer:
            name, reason = os.fsdecode(as_bytes(answer["failed"]["path"])), os.strerror(answer["failed"]["errno"])
            raise FailedError(f"{name} was renamed, and what is in it cannot be carried over: {reason}.")

    def call(self, function: Callable[[], Any], *, with_change: bool = True) -> Any:
        """Run a Python function in a second view, of the frozen layers or of the host as it is; give its result.

        It runs in a process of its own, contained as the command was; what it writes is gone afterwards. The result
        must be JSON. A BackoutError comes back as such, any other exception as a RuntimeError with its traceback.
        """
        self._end_view()
        keeper = self._start(WITH_CHANGE if with_change else WITHOUT_CHANGE, function)
        try:
            result, theirs = os.pipe2(os.O_CLOEXEC)
            keeper.channel.send({"call": True}, [theirs])
            os.close(theirs)
            with self._answering():
                said = read_to_the_end(result, self._bounds())
            if not said and keeper.channel.receive():
                raise too_many()
        finally:
            keeper.end()
        outcome = _outcome(said)
        if "error" in outcome:
            raise from_document(outcome["error"])
        if "bug" in outcome:
            raise RuntimeError(outcome["bug"])
        return outcome["result"]

    def _end_view(self) -> None:
        if self.proxy_socket is not None:
            with contextlib.suppress(OSError):
                # Whoever waits in accept() would wait for ever: closing alone does not wake it.
                self.proxy_socket.shutdown(socket.SHUT_RDWR)
            self.proxy_socket.close()
            self.proxy_socket = None
        if self._keeper is not None:
            keeper, self._keeper = self._keeper, None
            keeper.end()

    def close(self, *, keep: bool) -> None:
        """End everything, and remove the work folders; without `keep` the uppers as well, and every trace."""
        self._end_view()
        if self._folders is None:
            return
        if keep:
            self._folders.remove_work(tuple(self._parts.layers.values()))
            with contextlib.suppress(OSError):
                os.rmdir(self._folders.primary + b"/place")
        else:
            self._folders.remove()


def _set_up(channel: Channel, recipe: Recipe, host: Any, *, listen: bool) -> None:
    """Make the network and the view; greet the parent, or tell it why not and end."""
    descriptors: list[int] = []
    limits: list[str] = []
    try:
        if host is not None:
            limits += networks.mirror(host).limits
        if listen:
            descriptors.append(proxy.listen().detach())
        limits += assemble(recipe)
    except BackoutError as error:
        channel.send({"error": error.document()})
        os._exit(1)
    except OSError as error:
        forbidden = error.errno in (errno.EPERM, errno.EACCES, errno.ENODEV, errno.ENOSYS, errno.EINVAL)
        kind = NotPossibleError if forbidden else FailedError
        failed = kind(f"The view could not be made: {error}.", next="backout doctor")
        channel.send({"error": failed.document()})
        os._exit(1)
    except Exception:
        import traceback

        channel.send({"bug": traceback.format_exc()})  # for the parent to raise: nobody sees this process' stderr
        raise
    channel.send({"limits": limits}, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)


def _outcome(said: bytes) -> dict[str, Any]:
    """Read what a function in a view came to: it shares that with what it runs, which may have written there, too."""
    try:
        outcome: dict[str, Any] = shape.load(said)
    except ValueError:
        outcome = {}
    if not _OUTCOME(outcome):
        raise FailedError("What was looked at in the rehearsal ended without a result.")
    return outcome


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _file_type(point: bytes) -> str:
    try:
        mode = os.lstat(point).st_mode
    except PermissionError:
        return "closed"  # below a folder that this user may not enter, as a container's mounts are
    return next((name for test, name in _TYPES if test(mode)), "other")


def _private_copies(view: View, primary: bytes) -> dict[bytes, bytes]:
    """Copy what is mounted as a single file: it cannot be overlaid (traps C5)."""
    copies: dict[bytes, bytes] = {}
    for piece in view.pieces:
        if piece.how == COPY:
            folder = primary + b"/copies"
            os.makedirs(folder, 0o700, exist_ok=True)
            copies[piece.point] = folder + b"/%d" % len(copies)
            _copy(piece.point, copies[piece.point])
    return copies


def _copy(live: bytes, copy: bytes) -> None:
    """Copy one file, content and appearance of one inode: a folder above it may be a user's."""
    parents = Parents()
    try:
        with open(open_file(parents.name(live)), "rb") as source, open(copy, "xb") as target:
            shutil.copyfileobj(source, target)
            copy_held_appearance(source.fileno(), copy)
    finally:
        parents.close()


def _same(live: bytes, copy: bytes) -> bool:
    """Compare the content, mode and owner of two files; what is not where it was, or no file, is another."""
    parents = Parents()
    try:
        one, other = (state_of(parents.name(path)) for path in (live, copy))
    except OSError as error:
        if error.errno not in GONE:
            raise
        return False
    finally:
        parents.close()
    return one is not None and other is not None and _shown(one) == _shown(other)


def _shown(state: State) -> tuple[Any, ...]:
    return state.type, state.mode, state.uid, state.gid, state.sha256


def _cannot_start(failed: dict[str, Any], argv: Sequence[bytes], cwd: bytes) -> BackoutError:
    """Say why a command could not be started; where its file is there, it is its interpreter that is missing."""
    reason = os.strerror(failed["errno"])
    if failed["what"] == "cwd":
        return FailedError(
            f"The command cannot start in {os.fsdecode(cwd)}: {reason}.", next="cd to a folder that is there"
        )
    if failed["what"] == "sandbox":
        return FailedError(f"The sandbox could not be closed around the command: {reason}.", next="backout doctor")
    name = os.fsdecode(argv[0])
    if failed["errno"] == errno.ENOENT and b"/" in argv[0] and os.path.exists(os.path.join(cwd, argv[0])):
        return FailedError(
            f"{name} is there, but what its first line names as its interpreter is not.", next=f"head -n 1 {name}"
        )
    if failed["errno"] == errno.ENOENT:
        return FailedError(f"Command not found: {name}.", next="Check its name and PATH.")
    return FailedError(f"{name} cannot be executed: {reason}.", next="Check its mode, and its first line.")

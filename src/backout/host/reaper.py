"""The first process of a sandbox: it starts what it is told to, reaps what is orphaned, and ends with its parent."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import termios
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn, Optional

from backout.errors import BackoutError
from backout.host import capabilities, redirects, seccomp
from backout.host.bounds import TICK_S, Tasks, attentive
from backout.host.channel import Channel, as_bytes, as_text, close_all, pair
from backout.host.refused import Listener
from backout.host.signals import fork

_CANNOT_START = 71  # EX_OSERR, for ourselves: the reason has gone through the pipe
_SETTLE_S = 0.05
_BeHarmless = Callable[[int, Optional[Channel]], None]
"""Takes the umask, and whom to tell."""


def serve(channel: Channel, function: Callable[[], Any] | None, *, rootless: bool) -> None:
    """Answer the parent's requests until it closes the channel.

    `{"run": {argv, cwd, env, terminal}}` with descriptors (stdin, stdout, stderr), and `{"call": true}` with one for
    the result. The answer is `{status, left, in_memory, tried}` (names: of processes, in /dev/shm, of refused system
    calls), `{failed: {errno, what}}` when the command could not be started, or `{too_many}` when it became too many
    processes (`bounds`). `{"settle": paths}` is answered with `{}`, or `{failed: {path, errno}}`.
    """
    wake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    be_harmless = partial(_be_harmless, rootless)
    while True:
        message = channel.receive()
        if message is None:
            return
        request, descriptors = message
        if "settle" in request:
            channel.send(_settle(request["settle"]))
            continue
        if "run" in request:
            started = _start(request["run"], descriptors, be_harmless, channel)
        else:
            started = _Started(_start_function(function, descriptors, be_harmless))
        close_all(descriptors)
        with attentive():
            answer = _wait(started, channel, wake) if isinstance(started, _Started) else started
        if answer is None:
            return
        channel.send(answer)


def _settle(paths: Sequence[str]) -> dict[str, Any]:
    for path in paths:
        try:
            redirects.settle(as_bytes(path))
        except OSError as error:
            return {"failed": {"path": path, "errno": error.errno or errno.EIO}}
    return {}


class _Started(NamedTuple):
    """A child, and who listens to what it is refused."""

    child: int
    listener: Listener | None = None


def _wait(started: _Started, channel: Channel, wake: int) -> dict[str, Any] | None:
    """Wait for the command, then end what it left.

    None when the parent went away before, or was told that the command is too many: then all ends with this process.
    """
    waiting = select.poll()
    waiting.register(channel.fileno(), select.POLLIN | select.POLLHUP)
    waiting.register(wake, select.POLLIN)
    listener = started.listener
    if listener is not None:
        waiting.register(listener.fileno(), select.POLLIN)
    tasks, status = Tasks(), None
    while status is None:
        ready = dict(waiting.poll(TICK_S * 1000))
        if channel.fileno() in ready:
            return None
        if listener is not None and ready.get(listener.fileno(), 0) & select.POLLIN:
            listener.refuse()
        if tasks.are_too_many():
            channel.send({"too_many": True})
            return None
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        status = _reap(started.child)
    tried = sorted(listener.tried) if listener is not None else []
    in_memory = [as_text(name) for name in sorted(os.listdir(b"/dev/shm"))]
    answer = {"status": status, "left": _end_all(), "in_memory": in_memory, "tried": tried}
    if listener is not None:
        listener.close()
    return answer


def _reap(wanted: int | None) -> int | None:
    """Reap all that has ended; give the wanted one's status if it is among them."""
    status = None
    while True:
        try:
            pid, its_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == wanted:
            status = its_status


def _end_all() -> list[str]:
    """Kill every other process of the namespace; name those that would have stayed."""
    left = _living()
    if left:
        # the last of a pipeline may be on its way out
        select.select([], [], [], _SETTLE_S)
        _reap(None)
        left = _living()
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return left


def _living() -> list[str]:
    """Name the living processes beside ourselves, kernel names as in /proc/PID/comm."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                comm, _, rest = file.read().partition(b"(")[2].rpartition(b")")
                if rest.split()[0] not in (b"Z", b"X"):
                    found.append(as_text(comm))
    return sorted(found)


def _start(
    order: Mapping[str, Any], descriptors: Sequence[int], be_harmless: _BeHarmless, channel: Channel
) -> _Started | dict[str, Any]:
    """Start a command; give its process, or why it could not be."""
    told, tell = pair()
    standard, master = list(descriptors), -1
    if order["terminal"]:
        master, slave = os.openpty()
        standard = [slave] * 3
        channel.send({"terminal": True}, [master])
    child = fork()
    if child == 0:
        _become(order, standard, be_harmless, tell)
    tell.close()
    close_all([master, standard[0]] if order["terminal"] else [])
    message, listener = told.receive(), None
    if message and message[1]:
        listener = Listener(*message[1])
        message = told.receive()
    told.close()
    if message is None:
        return _Started(child, listener)
    os.waitpid(child, 0)
    if listener is not None:
        listener.close()
    return {"failed": message[0]}


def _become(order: Mapping[str, Any], standard: Sequence[int], be_harmless: _BeHarmless, tell: Channel) -> NoReturn:
    what, argv = "sandbox", [as_bytes(word) for word in order["argv"]]
    try:
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        be_harmless(order["umask"], tell)
        if order["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        what = "cwd"
        os.chdir(as_bytes(order["cwd"]))
        what = "argv"
        os.execvpe(argv[0], argv, {as_bytes(name): as_bytes(value) for name, value in order["env"].items()})  # noqa: S606
    except OSError as error:
        tell.send({"errno": error.errno or errno.EIO, "what": what})
    finally:
        os._exit(_CANNOT_START)


def _be_harmless(rootless: bool, umask: int, tell: Channel | None) -> None:  # noqa: FBT001 - bound in `serve`
    """Make a session of its own, have signals as a shell gives them, and lose what reaches past the namespaces.

    `tell` is given a descriptor for what is refused. A user is refused the same on the host, so nobody needs to hear.
    """
    os.setsid()
    os.umask(umask)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    if tell is None or rootless:
        seccomp.install()
    else:
        listener = seccomp.install_asking()
        if listener is not None:
            tell.send({}, [listener])
            os.close(listener)
    capabilities.drop(frozenset() if rootless else capabilities.KEPT)


def _start_function(function: Callable[[], Any] | None, descriptors: Sequence[int], be_harmless: _BeHarmless) -> int:
    (result,) = descriptors
    child = fork()
    if child:
        return child
    try:
        be_harmless(0o022, None)
        _write(result, _outcome(function))
    finally:
        os._exit(0)


def _outcome(function: Callable[[], Any] | None) -> dict[str, Any]:
    """Call the function; give its result or its error as JSON can carry them."""
    try:
        return {"result": function() if function else None}
    except BackoutError as error:
        return {"error": error.document()}
    except BaseException:  # noqa: BLE001 - it is raised again in the parent, which cannot see it otherwise
        import traceback

        return {"bug": traceback.format_exc()}


def _write(descriptor: int, outcome: dict[str, Any]) -> None:
    with open(descriptor, "wb") as file:
        file.write(json.dumps(outcome).encode())

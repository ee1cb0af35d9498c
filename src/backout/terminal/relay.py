"""A program on a terminal of ours, inside the user's: what is typed goes in, what is printed comes out.

The user's terminal is in raw mode meanwhile (termios(3)): Ctrl-C, Ctrl-Z and all else mean what they mean to the
program. However it ends, the terminal is as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import termios
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backout.host.signals import fork

_CHUNK = 1 << 16
_MOST_UNREAD_BYTES = 1 << 16
"""So much of what was typed or pasted waits for the program; beyond it, what is typed waits for us."""
_ENDING_S = 2.0
"""How long a program may take to end after its terminal hung up."""
_TICK_S = 0.01
_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_HEARD = (*_ENDS, signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT)

Passes = Callable[[bytes], bytes]
"""Is given what the program printed, and nothing at its end; gives what is shown of it."""


def relay(words: Sequence[str], environ: Mapping[str, str], passes: Passes, user: tuple[int, int] = (0, 1)) -> int:
    """Run a program on a terminal of its own, and pass everything on; gives its exit code, as a shell tells it.

    `user` are the descriptors of the user's terminal, to read and to write. SIGTERM, SIGHUP and SIGINT end it as a
    terminal that is closed does: the program hears SIGHUP, and is killed where it stays. An OSError says that it cannot
    be started.
    """
    with _restored(user[0]) as settings, _signals() as heard:
        child, master = _start(words, environ, settings, user[0])
        try:
            code = _Relay(child, master, user, heard, passes).run()
        finally:
            os.close(master)  # the program hears SIGHUP (tty_ioctl(4): a hangup)
        return _ended(child) if code is None else code


class _Relay:
    """The loop: four descriptors, and signals as bytes on one of them."""

    def __init__(self, child: int, master: int, user: tuple[int, int], heard: int, passes: Passes) -> None:
        self._child, self._master, self._heard, self._passes = child, master, heard, passes
        self._from, self._to = user
        self._typed = b""
        self._code: int | None = None
        os.set_blocking(master, False)

    def run(self) -> int | None:
        """Pass on until the program has ended, or a signal ends it; gives its exit code where it has one."""
        going = True
        while going:
            reads = [self._master, self._heard, *([self._from] if len(self._typed) < _MOST_UNREAD_BYTES else [])]
            ready, writable, _ = select.select(reads, [self._master] if self._typed else [], [])
            if self._from in ready:
                going = self._take()
            if self._typed and (writable or self._from in ready):
                self._give()
            if self._master in ready:
                going = self._show() and going
            if self._heard in ready:
                going = self._hear() and going
        _write(self._to, self._passes(b""))
        return self._code

    def _take(self) -> bool:
        """Read what is typed; tells whether somebody is still there."""
        try:
            typed = os.read(self._from, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:  # the terminal is gone
            return False
        self._typed += typed
        return bool(typed)

    def _give(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._typed = self._typed[os.write(self._master, self._typed) :]

    def _show(self) -> bool:
        """Pass on what is printed; tells whether the program's terminal is still open."""
        try:
            printed = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:  # EIO: nobody has it open any more
            return False
        _write(self._to, self._passes(printed))
        return bool(printed)

    def _hear(self) -> bool:
        """Act on signals; tells whether to go on."""
        numbers = os.read(self._heard, _CHUNK)
        if set(_ENDS) & set(numbers):
            return False
        if signal.SIGCONT in numbers:
            _raw(self._from)  # whoever had the terminal meanwhile set it up for itself
        if signal.SIGWINCH in numbers or signal.SIGCONT in numbers:
            _copy_size(self._from, self._master)
        if signal.SIGCHLD not in numbers:
            return True
        self._code = _code(self._child)
        if self._code is not None:
            while select.select([self._master], [], [], 0)[0] and self._show():
                pass  # what it had still to say; what it leaves in the background may hold the terminal open
        return self._code is None


def _start(words: Sequence[str], environ: Mapping[str, str], settings: list[Any] | None, user: int) -> tuple[int, int]:
    """Start the program on a new terminal, set up as the user's is; gives its process and our end of the terminal."""
    master, slave = pty.openpty()
    if settings is not None:
        termios.tcsetattr(slave, termios.TCSANOW, settings)
    _copy_size(user, master)
    failed, fails = os.pipe()
    child = fork()
    if not child:
        try:
            os.login_tty(slave)
            _usual_signals()
            os.execvpe(words[0], list(words), dict(environ))  # noqa: S606 - no shell is the point
        except OSError as error:
            os.write(fails, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(slave)
    os.close(fails)
    with open(failed, "rb") as said:
        why = said.read()  # ends with the exec: pipes of ours are closed by it
    if why:
        os.close(master)
        os.waitpid(child, 0)
        raise OSError(int(why), os.strerror(int(why)), words[0])
    return child, master


def _usual_signals() -> None:
    """Undo in the child what was set for us: a handler is reset by the exec, an ignored signal would stay ignored."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def _restored(terminal: int) -> Iterator[list[Any] | None]:
    """Set a terminal to raw mode; afterwards it is as it was, also where we are killed. No terminal stays as it is."""
    try:
        settings = termios.tcgetattr(terminal)
    except termios.error:
        yield None
        return
    keeper = _keep(terminal, settings)
    try:
        _raw(terminal)
        yield settings
    finally:
        _set(terminal, settings)
        os.close(keeper[1])
        os.waitpid(keeper[0], 0)


def _keep(terminal: int, settings: list[Any]) -> tuple[int, int]:
    """Let a process wait for our end, however it comes, and restore the terminal then; gives it and what to close."""
    waits, ends = os.pipe()
    keeper = fork()
    if keeper:
        os.close(waits)
        return keeper, ends
    try:
        os.close(ends)
        os.setsid()  # what is sent to our group is not for it; a terminal that is not its own it may still set
        os.read(waits, 1)
        if not termios.tcgetattr(terminal)[3] & (termios.ICANON | termios.ISIG):  # nobody has set it up anew
            _set(terminal, settings)
    finally:
        os._exit(0)


def _raw(terminal: int) -> None:
    with contextlib.suppress(termios.error):
        tty.setraw(terminal, termios.TCSANOW)


def _set(terminal: int, settings: list[Any]) -> None:
    with contextlib.suppress(termios.error):  # it hung up
        termios.tcsetattr(terminal, termios.TCSADRAIN, settings)


def _copy_size(of: int, to: int) -> None:
    """Give a terminal the size of another; the program on it hears SIGWINCH (tty_ioctl(4))."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(to, termios.TIOCSWINSZ, fcntl.ioctl(of, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0)))


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """Let signals be bytes on a descriptor, so that they are acted on in the loop, between other things."""
    heard, tells = socket.socketpair()
    for end in (heard, tells):
        end.settimeout(0)
    before = {number: signal.signal(number, lambda *_: None) for number in _HEARD}
    wakeup = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    try:
        yield heard.fileno()
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        heard.close()
        tells.close()


def _write(to: int, data: bytes) -> None:
    """Write all of it; a terminal that is gone takes nothing."""
    while data:
        try:
            data = data[os.write(to, data) :]
        except BlockingIOError:
            select.select([], [to], [])
        except OSError:
            return


def _ended(child: int) -> int:
    """Wait for the program's end, not for ever."""
    until = time.monotonic() + _ENDING_S
    while (code := _code(child)) is None:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            until = float("inf")
        time.sleep(_TICK_S)
    return code


def _code(child: int) -> int | None:
    """Give a program's exit code, 128 and the number where a signal ended it; None while it runs."""
    found, status = os.waitpid(child, os.WNOHANG)
    if not found:
        return None
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code

"""A host reached by the system's OpenSSH client, as its user has set it up: keys, agents, jumps and known hosts.

Nothing that a person set is overridden. What is added: no questions, time limits, and one connection for all commands
of a minute, each where the user's own configuration does not say otherwise.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import BinaryIO, cast

from backout.errors import BackoutError, NotPossibleError
from backout.host.loader import WORD
from backout.host.relay import ALIVE, BEAT_S, INTERRUPT
from backout.link import unreached, zipapp
from backout.link.unreached import SSH_FAILED, Destination
from backout.link.wire import Events, Link

Begun = Callable[[Callable[[], None]], None]
"""Is given what ends, at once and from any thread, what was begun."""
GREETING_S = 60.0
"""How long a host may take from the call to its half's first word, and once more for taking that half in."""
_ENDING_S = 10.0
_LONGEST_CONTROL_FOLDER = 48
"""A socket's path has 108 bytes (unix(7)); ssh needs 40 for the hash, and some more while it makes it."""

_TOO_OLD = 97
_FIND_PYTHON = (
    "for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 /usr/libexec/platform-python; "
    'do command -v "$p" >/dev/null 2>&1 || continue; '
    f'"$p" -I -S -X utf8 -c "import sys; sys.version_info >= (3, 9) or sys.exit({_TOO_OLD}); '
    "r = sys.stdin.buffer.raw; n = int(r.readline()); b = bytearray(); "
    'list(iter(lambda: len(b) < n and b.extend(r.read(n - len(b)) or sys.exit(1)), False)); exec(b.decode())"; c=$?; '
    f'case $c in {_TOO_OLD}) v=$("$p" -I -c "import sys; print(sys.version.split()[0])"); f="$f $v";; '
    '126|127) ;; *) [ "$c" -le 128 ] || kill -9 $$; exit $c;; esac; done; '
    f"echo; echo {WORD} python $f"
)
"""Starts the first Python that is new enough, once: what asked for its version first would double what a start costs.

It reads a number, and so many bytes: a line would be read byte by byte, with a system call each, since nothing of what
follows may be read, too. A name that leads to none (126, 127) is passed over; a half that is killed takes the shell
along. No `site`: what a host has installed for its Python is not ours.
"""
_AS_ROOT = f'[ "$(id -u)" = 0 ] || {{ echo; echo {WORD} sudo; exec sudo -n -H -- /bin/sh -c "$1"; }}; '


def command(become: str | None) -> str:
    """Give the command line for the host's login shell, any shell: it finds a Python and starts what follows on stdin.

    One line, in quotes that sh, csh and fish read alike; nothing in it depends on what is to be done.
    """
    return f"exec /bin/sh -c '{_AS_ROOT if become else ''}eval \"$1\"' sh '{_FIND_PYTHON}'"


class Requests(io.RawIOBase):
    """What is written goes to the host in a thread of its own: also from a signal handler, and without ever waiting."""

    def __init__(self, pipe: BinaryIO) -> None:
        self.beats = False
        """Whether the host is told now and then that we are there."""
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._carry, args=(pipe,), daemon=True).start()

    def writable(self) -> bool:
        """Say that this can be written to."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # what a Link writes is bytes
        """Hand something over, whole."""
        self._lines.put(data)
        return len(data)

    def close(self) -> None:
        """End the host half's input, when all is written."""
        if not self.closed:
            self._lines.put(None)
        super().close()

    def _carry(self, pipe: BinaryIO) -> None:
        with contextlib.suppress(OSError), pipe:  # ssh has ended: whoever waits for the answer is told
            while (line := self._next()) is not None:
                pipe.write(line)
                pipe.flush()

    def _next(self) -> bytes | None:
        try:
            return self._lines.get(timeout=BEAT_S if self.beats else None)
        except queue.Empty:
            return ALIVE


class Client:
    """One run of ssh: what a `Link` needs of a process."""

    def __init__(self, to: Destination, words: list[str]) -> None:
        self.to = to
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of the process; a pipe would have to be read
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us to pass on, or ssh would end before the host is as it was
        )
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        assert self._process.stdout is not None  # noqa: S101
        self.requests = Requests(cast("BinaryIO", self._process.stdin))
        self.stdin = cast("BinaryIO", self.requests)
        self.stdout = cast("BinaryIO", self._process.stdout)
        self.late = False
        """Whether it was ended because a time limit was over."""

    def wait(self) -> int:
        """Wait for its end; give its exit code. One that does not end with its input is ended."""
        try:
            return self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def send_signal(self, number: int) -> None:
        """Interrupt the host half; no other signal goes across."""
        if number == signal.SIGINT:
            self.requests.write(INTERRUPT)

    def kill(self) -> None:
        """End ssh, whatever it waits for; the host half ends when it notices."""
        _end(self._process)

    def abandon(self) -> None:
        """End ssh, and close all that led to it."""
        self.kill()
        self._process.wait()
        self.requests.close()
        self.stdout.close()
        self._said.close()

    def limit(self) -> threading.Timer:
        """Begin a time limit: at its end ssh is ended."""

        def over() -> None:
            self.late = True
            self.kill()

        timer = threading.Timer(GREETING_S, over)
        timer.daemon = True
        timer.start()
        return timer

    def said(self) -> str:
        """Give what ssh and the host wrote on standard error."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace")

    def cut(self, code: int) -> BackoutError:
        """Explain an end in the midst of things."""
        return unreached.cut(self.to, code, self.said())


def connect(
    host: str,
    become: str | None,
    events: Events,
    begun: Begun = lambda _: None,
    environ: Mapping[str, str] = os.environ,
) -> Link:
    """Reach a host, and start its half there: it is sent along only where it is not yet.

    BackoutErrors say why a host is not reached, each in a limited time. `begun` is given what ends ssh at once, from
    any thread.
    """
    to = Destination(host, settings_of(host, begun))
    client = Client(to, ["ssh", *options(to.settings, environ), "-T", "--", host, command(become)])
    limit = client.limit()
    try:
        begun(client.kill)
        half = zipapp.build()
        start = f"{zipapp.loader()}\nload({half.sha256!r}, {len(half.content)})\n".encode()
        client.requests.write(b"%d\n%b" % (len(start), start))
        _arrive(client, half.content)
        link = Link(client, events, ended=client.cut)
    except BaseException:
        client.abandon()
        raise
    finally:
        limit.cancel()
    client.requests.beats = True
    return link


def _arrive(client: Client, half: bytes) -> None:
    """Follow the host to where its half begins."""
    asked_sudo = False
    for line in iter(client.stdout.readline, b""):
        word, _, rest = line.decode(errors="replace").strip().partition(" ")
        if word != WORD:
            continue  # what a login shell prints
        word, _, rest = rest.partition(" ")
        if word == "have":
            return
        if word == "want":
            client.requests.write(half)
        elif word == "sudo":
            asked_sudo = True
        elif word == "python":
            raise unreached.no_python(client.to, rest)
        elif word == "unwritable":
            raise unreached.not_kept(client.to, rest)
        elif word == "damaged":
            raise unreached.damaged(client.to)
    raise _not_started(client, client.wait(), asked_sudo=asked_sudo)


def _not_started(client: Client, code: int, *, asked_sudo: bool) -> BackoutError:
    if client.late:
        return unreached.silent(client.to, GREETING_S)
    if code == SSH_FAILED:
        return unreached.not_connected(client.to, client.said())
    if asked_sudo:
        return unreached.sudo_asks(client.to, client.said())
    return unreached.no_start(client.to, code, client.said())


def settings_of(host: str, begun: Begun = lambda _: None) -> dict[str, str]:
    """Ask ssh what it makes of a host, without connecting; BackoutErrors as those of `connect`."""
    try:
        process = subprocess.Popen(
            ["ssh", "-G", "--", host],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise unreached.no_ssh() from None
    with process:
        try:
            begun(partial(_end, process))
            settings, said = process.communicate(timeout=GREETING_S)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):  # a Match exec that hangs
                raise unreached.silent(Destination(host, {}), GREETING_S) from None
            raise
    if process.returncode:
        raise unreached.not_connected(Destination(host, {}), said.decode(errors="replace"))
    lines = settings.decode(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and what it started, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def options(settings: Mapping[str, str], environ: Mapping[str, str], *, asks: bool = False) -> list[str]:
    """Give the options that are added to what the user has set; where somebody is there, ssh `asks`."""
    added = [*([] if asks else ["BatchMode=yes"]), "ClearAllForwardings=yes", "RemoteCommand=none"]
    if settings.get("connecttimeout", "none") == "none":
        added.append("ConnectTimeout=15")
    if settings.get("serveraliveinterval", "0") == "0":
        added += ["ServerAliveInterval=10", "ServerAliveCountMax=3"]
    if settings.get("controlmaster", "false") == "false" and settings.get("controlpath", "none") == "none":
        added += ["ControlMaster=auto", "ControlPersist=60s", f"ControlPath={control_folder(environ)}/%C"]
    return [word for option in added for word in ("-o", option)]


def control_folder(environ: Mapping[str, str]) -> str:
    """Make the folder of the shared connections, for this user alone: who may open them is let in."""
    own = os.path.join(environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"backout-{os.getuid()}")
    folder = own if len(own) <= _LONGEST_CONTROL_FOLDER else f"/tmp/backout-{os.getuid()}"  # noqa: S108 - looked at below
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise NotPossibleError(
            f"{folder} cannot be made: {error.strerror}.", next="Mend that, then try again."
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NotPossibleError(f"{folder} is not ours alone.", next=f"Look whose it is: ls -ld {folder}")
    return folder.replace("%", "%%")

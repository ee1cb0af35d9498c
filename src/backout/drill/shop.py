"""The running shop: gunicorn under a supervisor, as systemd would run it with Restart=always and PIDFile=."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from types import TracebackType
from typing import Self

from backout.drill.load import answers, ask
from backout.errors import FailedError

RESTART_AFTER_S = 0.5
BOOT_S = 30.0
STOP_S = 10.0
LOOK_EVERY_S = 0.1


class Shop:
    """One shop on a port of this machine; gunicorn is started again half a second after it died, of whatever."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._over = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name=f"drill shop {folder}")

    def __enter__(self) -> Self:
        """Start it, and wait for its first answer; a FailedError with the end of its log when there is none."""
        with contextlib.ExitStack() as otherwise:
            otherwise.callback(self._stop)
            self._thread.start()
            if not self.answers_soon():
                raise FailedError(f"The drill's shop did not start:\n{self.log()[-2000:]}")
            otherwise.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop gunicorn and its workers."""
        self._stop()

    def answers_soon(self) -> bool:
        """Wait for an answer, as long as a start may take; False when none came."""
        give_up_at = time.monotonic() + BOOT_S
        while time.monotonic() < give_up_at:
            if answers(self.port):
                return True
            time.sleep(0.1)
        return False

    def served_flask(self) -> str:
        """Ask the shop which flask it runs on; `none` when it does not answer."""
        answer = ask(self.port)
        return "none" if answer is None else str(json.loads(answer)["flask"])

    def log(self) -> str:
        """What gunicorn wrote up to now."""
        with open(self._run("gunicorn.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _run(self, name: str) -> str:
        return os.path.join(self.folder, "run", name)

    def _supervise(self) -> None:
        with open(self._run("gunicorn.log"), "ab") as log:
            while not self._over.is_set():
                with self._starting:
                    if self._over.is_set():
                        return
                    self._process = None
                    # While the virtualenv is built anew, there is none to start.
                    with contextlib.suppress(FileNotFoundError):
                        self._process = self._gunicorn(log.fileno())
                if self._process is not None:
                    self._follow(self._process)
                self._over.wait(RESTART_AFTER_S)

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a process, and of each that `shopctl reload` wrote down in place of one that ended."""
        pidfile, ended = self._run("gunicorn.pid"), process.pid
        # Written here and not by gunicorn, which does it late: one that is still starting must be found, too.
        with open(pidfile, "w", encoding="ascii") as file:
            file.write(f"{ended}\n")
        process.wait()
        while True:
            with open(pidfile, encoding="ascii") as file:
                successor = int(file.read())
            if successor == ended:
                os.unlink(pidfile)
                return
            self._until_end(successor)
            ended = successor

    def _until_end(self, successor: int) -> None:
        """Wait for a process that is no child of ours, and end it when the shop is to stop."""
        try:
            handle = os.pidfd_open(successor)
        except ProcessLookupError:
            return
        try:
            while not self._over.is_set():
                if select.select([handle], [], [], LOOK_EVERY_S)[0]:
                    return
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
                if select.select([handle], [], [], STOP_S)[0]:
                    return
        finally:
            os.close(handle)

    def _gunicorn(self, log: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                os.path.join(self.folder, "venv/bin/gunicorn"),
                # It loads the application before it writes its pid file: shopctl reload waits for that.
                "--preload",
                *("--pid", self._run("master.pid")),
                *("--bind", f"127.0.0.1:{self.port}", "app:app"),
            ],
            cwd=self.folder,
            # Newer releases of gunicorn leave a socket in HOME: it is to be the shop's own.
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": os.path.join(self.folder, "run"),
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )

    def _stop(self) -> None:
        self._over.set()
        with self._starting:
            process = self._process
        if process is not None:
            _end(process)
        self._thread.join()


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _end(process: subprocess.Popen[bytes]) -> None:
    """End gunicorn with its workers: asked first, killed when that takes too long."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    # Only while it is ours: of a process group whose leader was waited for, the number may be another's.
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

"""A program whose output is passed on as it comes where there is no terminal: pipes, each to its own end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

_CHUNK = 1 << 16


def pass_on(
    words: Sequence[str],
    environ: Mapping[str, str],
    hears: Callable[[bytes], object],
    ends: tuple[int, int] = (1, 2),
) -> int:
    """Run a program with our standard input; gives its exit code, as a shell tells it.

    What it writes on its standard output and error goes to the descriptors `ends`, and is told to `hears` in the order
    in which it came. Where nobody reads an end any more, nobody reads the program there either: it hears of that as it
    would without us. SIGTERM and SIGHUP are passed to it; Ctrl-C it hears by itself, and what it makes of that is its
    own. What it leaves in the background is not waited for. An OSError says that it cannot be started.
    """
    with (
        subprocess.Popen(
            words, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        ) as process,
        _passed_to(process),
    ):
        assert process.stdout is not None  # noqa: S101 - it was asked for
        assert process.stderr is not None  # noqa: S101
        ended, ends_it = os.pipe()
        threading.Thread(target=_watch, args=(process, ends_it), daemon=True).start()
        pipes = {pipe.fileno(): pipe for pipe in (process.stdout, process.stderr)}
        to = dict(zip(pipes, ends, strict=True))
        going = True
        while to and going:
            ready = select.select([*to, ended], [], [])[0]
            going = ended not in ready or any(source in ready for source in to)
            for source in [source for source in ready if source in to]:
                if not _pass(source, to[source], hears):
                    del to[source]
                    pipes[source].close()
        code = process.wait()
        os.close(ended)
    return 128 - code if code < 0 else code


def _watch(process: subprocess.Popen[bytes], ends_it: int) -> None:
    process.wait()
    os.close(ends_it)


def _pass(source: int, to: int, hears: Callable[[bytes], object]) -> bool:
    """Pass on what there is; tells whether to go on."""
    data = os.read(source, _CHUNK)
    if not data:
        return False
    hears(data)
    while data:
        try:
            data = data[os.write(to, data) :]
        except BlockingIOError:  # somebody has set this end not to wait
            select.select([], [to], [])
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _passed_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let signals that mean the program go to it, and none of them end us before it has ended."""
    here = not os.isatty(0)
    passed = (signal.SIGTERM, signal.SIGHUP, *((signal.SIGINT,) if here else ()))

    def pass_it(number: int, _: object) -> None:
        with contextlib.suppress(OSError):
            process.send_signal(number)

    before = {number: signal.signal(number, pass_it) for number in passed}
    if not here:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

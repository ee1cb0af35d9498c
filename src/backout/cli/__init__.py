"""Parse, call a flow, render. Imports live inside the command functions: `--version` must feel instant."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from backout.errors import BackoutError, InterruptedError

if TYPE_CHECKING:  # its import would be a tenth of what a note takes
    from argparse import Namespace


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its exit code."""
    gc.disable()  # it would look for cycles through all that is known of 100,000 paths, again and again
    _have_standard_streams()
    _take_any_byte()
    _speak_utf8()
    _end_in_one_way()
    code = run(sys.argv[1:])
    with contextlib.suppress(OSError):  # a reader that went away; what it was told so far it has
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # taking the interpreter apart in good order would cost a tenth of a short command


def run(words: Sequence[str]) -> int:
    """Run one command line; gives the exit code. Errors are told, never shown as tracebacks."""
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)  # known where parsing fails, too
    try:
        lenient = _lenient(words)
        if lenient is not None:
            return lenient()
        from backout.cli.parser import parse  # the whole grammar takes longer than a note

        return _call(parse(words))
    except BackoutError as error:
        return _tell(error, as_json=as_json)
    except KeyboardInterrupt:
        return _tell(InterruptedError("Interrupted.", state="This host is as it was before."), as_json=as_json)
    except BrokenPipeError:
        # the interpreter would try once more at its end, and complain (docs.python.org, signal, "Note on SIGPIPE")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _lenient(words: Sequence[str]) -> Callable[[], int] | None:
    """Give the command that reads its words by itself, leniently, where one is asked for; options may stand before."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("--config", "-e", "--environment") else 1
    if not {"note", "panic"} & set(words[at : at + 1]):
        return None
    verb = words[at]
    command = getattr(importlib.import_module(f"backout.cli.{verb}"), verb)
    return lambda: int(command([*words[:at], *words[at + 1 :]]))


def _have_standard_streams() -> None:
    """Open what was closed by whoever started us (`>&-`): the next file that is opened would be taken for it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - the standard three
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no keyword
        name = ("stdin", "stdout", "stderr")[descriptor]
        setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))
    os.close(descriptor)


def _take_any_byte() -> None:
    """Take what is typed or piped in as it comes, also what is no UTF-8: a terminal set otherwise, a stray key."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _end_in_one_way() -> None:
    """Let a service manager that stops us, and a terminal that is closed, do what Ctrl-C does; nohup keeps its way."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _call(options: Namespace) -> int:
    options.begun = options.stdin = None
    if options.on_host and sys.platform == "linux" and options.environment is None:
        # Before the imports of the command itself: both take about as long, and now they do so at the same time.
        begin_here(options)
    code = int(options.call(options))
    sys.stdout.flush()  # here, where a reader that went away is no surprise yet
    return code


def begin_here(options: Namespace) -> None:
    """Let this machine's host half come up; with --interactive the command may read what is typed here."""
    from backout import bootstrap

    options.stdin = os.dup(0) if getattr(options, "interactive", False) else None
    options.begun = bootstrap.begin(options.stdin)


def _speak_utf8() -> None:
    """Start anew where the locale would have paths be something else: records are read under other locales, too."""
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "backout", *sys.argv[1:]])  # noqa: S606


def _tell(error: BackoutError, *, as_json: bool) -> int:
    if error.shown:
        return error.exit_code
    if as_json:
        import json

        sys.stdout.write(json.dumps(error.document()) + "\n")
        return error.exit_code
    from backout.cli.screens import error_text

    sys.stderr.write(error_text(error))
    return error.exit_code

"""Where the command line writes: documents, reports, progress and questions."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import shlex
import sys
import threading
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from backout.errors import BackoutError
from backout.model import pieces
from backout.model.redact import redact_words
from backout.render.progress import Reporter, SilentReporter, reporter
from backout.render.screen import Screen, screen_of

_SWITCH_S = 0.0002
_WRITE_BYTES = 1 << 16


def screen(options: Namespace | None, stream: Any = None) -> Screen:
    """Describe the terminal or pipe that a stream leads to."""
    color = not (options is not None and options.no_color)
    return screen_of(stream or sys.stdout, os.environ, color=color)


def error_text(error: BackoutError) -> str:
    """Draw an error for a person."""
    from backout.render.error import render_error

    text = render_error(error.document(), screen(None, sys.stderr))
    return text if text.endswith("\n") else text + "\n"


def put_json(document: dict[str, Any], longest: str = "effects") -> None:
    """Write the one document of --json, piece by piece where it is `longest`."""
    put_bytes(sys.stdout, itertools.chain(pieces.document(document, longest), [b"\n"]))


def put(text: str) -> None:
    """Write a drawing on stdout; characters that its encoding lacks are escaped."""
    ended = text if not text or text.endswith("\n") else text + "\n"
    put_bytes(sys.stdout, [ended.encode(sys.stdout.encoding or "utf-8", "backslashreplace")])


def put_bytes(stream: TextIO, parts: Iterable[bytes]) -> None:
    """Write bytes; where they cannot go, say so once and go on: what becomes of the host does not hang on a reader."""
    try:
        stream.flush()
        stream.buffer.writelines(_gathered(parts))  # where nothing is buffered (python -u), each is a system call
        stream.buffer.flush()
    except OSError as error:
        # in place of what is broken, also for the interpreter's own last try (docs.python.org, signal, "SIGPIPE")
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            sys.stderr.write(f"backout: the output could not be written: {error.strerror}.\n")


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Give the same bytes in pieces that are worth a write."""
    rows, size = list[bytes](), 0
    for part in parts:
        rows.append(part)
        size += len(part)
        if size >= _WRITE_BYTES:
            yield b"".join(rows)
            rows, size = [], 0
    yield b"".join(rows)


def applying(words: Sequence[str], screen: Screen) -> str:
    """Give the line to paste that applies what these words rehearsed; in words where one of them holds a secret."""
    if redact_words(words) != list(words):
        return "The same command line with run instead of rehearse applies it."
    end = words.index("--") if "--" in words else len(words)
    own = [word for word in words[:end] if word != "--twice"]
    own[own.index("rehearse")] = "run"
    return " ".join(map(screen.word, ("backout", *own, *words[end:])))


_OURS = re.compile(r"\bbackout (rehearse|run|edit|back|split|recover|log|show|gc|doctor)\b(?! -e)")


def there(text: str, options: Namespace) -> str:
    """Name the environment of -e in the commands that a text proposes."""
    if options.environment is None:
        return text
    return _OURS.sub(lambda found: f"{found[0]} -e {shlex.quote(options.environment)}", text)


class Console:
    """Tells a person how far a use case is, shows reports and asks; is the link's event sink, too."""

    def __init__(self, options: Namespace) -> None:
        """Write to stderr what is progress, to stdout what is the answer; with --json only the document."""
        self._options = options
        self._silent = options.json or options.quiet
        self._reporter: Reporter = self._new_reporter()
        self._live = sys.stderr.isatty() and not self._silent
        self._asked = False
        if options.verb in ("rehearse", "run", "edit") and not options.json:
            # What draws takes a while to import; the host is at work meanwhile, and whatever it says is heard at once.
            sys.setswitchinterval(_SWITCH_S)
            threading.Thread(target=importlib.import_module, args=("backout.render.report",)).start()
        self.shown = False
        """Whether the report of what happened, with its verdict, was given."""

    def event(self, kind: str, text: str, data: bytes) -> None:
        """Pass on what a host half says while it works."""
        if kind == "progress":
            self.step(text)
        elif self._live:
            self._reporter.output(text, data)
        elif not self._silent:
            put_bytes(sys.stdout if text == "stdout" else sys.stderr, [data])

    def step(self, text: str) -> None:
        """Say what begins now."""
        self._reporter.step(text)

    def at(self, host: str, text: str) -> None:
        """Say what begins on one host among several; from any thread."""
        self.step(f"{host}: {text}")

    def done(self) -> None:
        """Clear the progress line."""
        self._reporter.done()

    def begin_again(self) -> None:
        """Show progress once more, after a question."""
        self._reporter = self._new_reporter()

    def _new_reporter(self) -> Reporter:
        return SilentReporter() if self._silent else reporter(sys.stderr, screen(self._options, sys.stderr))

    def show(self, document: dict[str, Any]) -> None:
        """Show a report, once: of what was asked about only what became of it. With --json the document."""
        self.done()
        if self.shown:
            return
        self.shown = True
        for reason in document["verdict"]["reasons"]:
            reason["next"] = there(reason["next"], self._options)
        if self._options.json:
            put_json(document)
        elif self._asked:
            self._conclude(document)
        else:
            self._report(document)

    @property
    def told_all(self) -> bool:
        """Tell whether the reasons of a refusal are before the reader's eyes, so that stderr need not repeat them."""
        return self.shown and not self._asked and (self._options.json or sys.stdout.isatty())

    def _report(self, document: dict[str, Any]) -> None:
        from backout.render.report import Wish, report  # only where a report is drawn

        full, noise = getattr(self._options, "full", False), getattr(self._options, "noise", False)
        put(report(document, screen(self._options), Wish(full, noise, next_command=self._next(document))))

    def _next(self, document: dict[str, Any]) -> str:
        """Offer the same command line with `run` after a rehearsal that `run` would let through."""
        if self._options.verb != "rehearse" or document["verdict"]["decision"] == "refuse":
            return ""
        return applying(sys.argv[1:], screen(self._options))

    def _conclude(self, document: dict[str, Any]) -> None:
        """Say in a line what became of what was asked about; a refusal is told as the error that it is."""
        reasons = document["verdict"]["reasons"]
        if document["verdict"]["decision"] == "allow" and reasons:
            put(screen(self._options).visible(f"{reasons[0]['what']} {reasons[0]['next']}") + "\n")

    @property
    def can_ask(self) -> bool:
        """Tell whether somebody is there to answer."""
        return not self._options.json and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str, about: dict[str, Any] | None = None) -> bool | None:
        """Ask on the terminal; None when there is none, or when --json asked for a document."""
        if not self.can_ask:
            return None
        self.done()
        if about is not None:
            self._report(about)
            self._asked = True
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

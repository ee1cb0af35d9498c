"""`backout look`: documents are written piece by piece, since a host may have half a million facts."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Mapping

from backout import bootstrap
from backout.cli.commands import _fleet
from backout.cli.screens import error_text, put_bytes, screen, there
from backout.config.find import load
from backout.errors import BackoutError
from backout.flow.look import Seen, code_of, document, news, rows, told
from backout.flow.look import look as look_now
from backout.model import pieces
from backout.store.journal import Journal

_ROWS_AT_ONCE = 500
Results = Mapping[str, Seen | BackoutError]


def look(options: Namespace) -> int:
    """`backout look`."""
    environment = load(options.config).environment(options.environment)
    with _fleet(options, environment) as (fleet, console):
        if not options.json:
            # What draws takes about as long to import as the hosts take to answer.
            threading.Thread(target=importlib.import_module, args=("backout.render.look",), daemon=True).start()
        console.step(f"looking at {environment.name}")
        results = look_now(fleet, options.kind)
    for result in results.values():
        if isinstance(result, BackoutError):
            result.next = there(result.next, options)
    if len(environment.hosts) == 1:
        _raise(results)
    with contextlib.closing(bootstrap.journal()) as journal:
        put_bytes(
            sys.stdout, _written(options, journal, results) if options.json else _drawn(options, journal, results)
        )
    _tell_failed(options, results)
    return code_of(results.values())


def _raise(results: Results) -> None:
    """Let what went wrong on the one host of an environment be what went wrong."""
    for result in results.values():
        if isinstance(result, BackoutError):
            raise result


def _written(options: Namespace, journal: Journal, results: Results) -> Iterator[bytes]:
    documents = (
        pieces.document(document(journal, result, options.kind), "facts")
        for result in results.values()
        if isinstance(result, Seen)
    )
    if len(results) == 1:
        yield from itertools.chain(*documents, [b"\n"])
        return
    failed = [
        {**result.document(), "host": host} for host, result in results.items() if isinstance(result, BackoutError)
    ]
    yield b'{"schema":"backout.looks/1","looks":['
    for number, written in enumerate(documents):
        yield from itertools.chain([b","] if number else [], written)
    yield b'],"failed":' + pieces.text(failed) + b',"exit_code":' + pieces.text(code_of(results.values())) + b"}\n"


def _drawn(options: Namespace, journal: Journal, results: Results) -> Iterator[bytes]:
    """Draw a block for each host; behind it the facts that are wanted."""
    from backout.render import look as drawing

    on = screen(options)
    encoding = sys.stdout.encoding or "utf-8"
    for number, result in enumerate(result for result in results.values() if isinstance(result, Seen)):
        text = ("\n" if number else "") + drawing.block(told(result), news(result), on, kept=result.kept)
        yield text.encode(encoding, "backslashreplace")
        if options.full or options.kind:
            left = (drawing.row(fact, on) for fact in rows(journal, result, options.kind))
            while some := "".join(itertools.islice(left, _ROWS_AT_ONCE)):
                yield some.encode(encoding, "backslashreplace")


def _tell_failed(options: Namespace, results: Results) -> None:
    for host, result in results.items():
        if isinstance(result, BackoutError) and not options.json:
            put_bytes(sys.stderr, [f"{host}: {error_text(result)}".encode(errors="backslashreplace")])

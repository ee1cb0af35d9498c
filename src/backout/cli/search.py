"""`backout search` and `backout import`: neither needs a host, nor a configuration that can be read."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import Namespace

from backout import bootstrap
from backout.cli.person import who
from backout.cli.screens import error_text, put, put_json, screen
from backout.config.find import load
from backout.errors import ConfigError, UsageError
from backout.flow.postmortems import take_in
from backout.flow.search import search as find
from backout.flow.search import whole
from backout.store.folders import notes

_READ_BYTES = 1 << 16
"""So much of what is piped in is kept, from its beginning and from its end: a log may have any size."""


def search(options: Namespace) -> int:
    """`backout search`."""
    from backout.render import search as draw

    if options.entry is not None:
        with contextlib.closing(bootstrap.journal()) as journal:
            told = whole(journal, options.entry)
        put_json(told) if options.json else put(draw.entry(told, screen(options)))
        return 0
    text = _asked(options.text)
    folders, limits = _folders(options)
    beside, unread = notes(folders)
    with contextlib.closing(bootstrap.journal()) as journal:
        document, code = find(journal, text, options.last, beside, limits + unread)
    put_json(document) if options.json else put(draw.search(document, screen(options)))
    return code


def _asked(words: list[str]) -> str:
    """Take the words, or what is piped in where they are none or `-`."""
    if words and words != ["-"]:
        return " ".join(words)
    if not words and sys.stdin.isatty():
        raise UsageError("There is nothing to search for.", next="backout search TEXT, or pipe a log into it.")
    head = sys.stdin.buffer.read(_READ_BYTES)
    tail = b""
    while more := sys.stdin.buffer.read(_READ_BYTES):
        tail = (tail + more)[-_READ_BYTES:]
    text = (head + b"\n" + tail if tail else head).decode("utf-8", "replace")
    if not text.strip():
        raise UsageError("There is nothing to search for: what was piped in is empty.", next="backout search TEXT")
    return text


def _folders(options: Namespace) -> tuple[list[str], list[str]]:
    """Give the folders of notes that backout.toml names, and what keeps them from being searched."""
    try:
        config = load(options.config)
    except ConfigError as error:
        if options.config:
            raise
        return [], [f"{error.what} The folders of notes that it may name were not searched."]
    return [os.path.join(config.folder, os.path.expanduser(folder)) for folder in config.folders], []


def import_(options: Namespace) -> int:
    """`backout import`."""
    from backout.render import search as draw

    with contextlib.closing(bootstrap.journal()) as journal:
        document, errors = take_in(journal, str(who()), options.files)
    if options.json:
        put_json(document)
    else:
        put(draw.imported(document, screen(options)))
        for error in errors:
            sys.stderr.write(error_text(error))
    return int(document["exit_code"])

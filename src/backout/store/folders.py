"""Folders of notes: their Markdown and text files as events that lie beside the journal, read at each search."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from backout.store.journal import Event

FILE = "file"
"""The type of such an event; its body is `path`, `title` and `text`. It has no `seq`, and is in no chain."""
ENDINGS = (".md", ".markdown", ".txt", ".rst", ".adoc")
MOST_FILES = 2000
LARGEST_BYTES = 256 * 1024
MOST_BYTES = 16 * 1024 * 1024


def notes(folders: Sequence[str]) -> tuple[list[Event], list[str]]:
    """Read the notes below the folders, and say of each that was not read why: nothing of it is an error.

    Files and folders whose names begin with a dot are passed over, and so are links to folders.
    """
    found: list[Event] = []
    limits: list[str] = []
    total = 0
    for path in _walked(folders, limits):
        if len(found) >= MOST_FILES or total >= MOST_BYTES:
            limits.append(f"Not all notes were searched: {len(found)} files are, from {path} on none.")
            break
        try:
            event = _read(path, limits)
        except OSError as error:
            limits.append(f"{path} could not be read: {error.strerror}.")
            continue
        if event is not None:
            found.append(event)
            total += len(event.body["text"])
    return found, limits


def _walked(folders: Sequence[str], limits: list[str]) -> Iterator[str]:
    def failed(error: OSError) -> None:
        limits.append(f"{error.filename} could not be read: {error.strerror}.")

    for folder in folders:
        for top, below, files in os.walk(folder, onerror=failed):
            below[:] = sorted(name for name in below if not name.startswith("."))
            shown = sorted(name for name in files if not name.startswith("."))
            yield from (os.path.join(top, name) for name in shown if name.lower().endswith(ENDINGS))


def _read(path: str, limits: list[str]) -> Event | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            return None
        if info.st_size > LARGEST_BYTES:
            limits.append(f"{path} is larger than {LARGEST_BYTES // 1024} KiB and was not searched.")
            return None
        text = file.read(LARGEST_BYTES).decode("utf-8", "replace")
    body = {"path": path, "title": title_of(text) or os.path.basename(path), "text": text}
    return Event(0, "", info.st_mtime, info.st_mtime, "", FILE, body)


def title_of(text: str) -> str:
    """Give the first heading of a Markdown text; empty where it has none."""
    return next((line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")), "")

"""What is under `watch`: every path with its metadata and hash, configuration by its keys, certificates."""

from __future__ import annotations

import contextlib
import os
import stat as st
from collections.abc import Iterator
from typing import Any

from backout.host.facts.ground import Ground
from backout.host.facts.known import Known, stamp_of
from backout.host.facts.looking import Looking
from backout.host.facts.walk import Met, Walk
from backout.host.tree import Name, file_type, open_file, state_of
from backout.lens import certificate, config, formats
from backout.model.fact import Fact
from backout.model.state import State

_TRIES = 3
_MOST = 50_000
"""Facts of configuration and certificates that are sorted in memory; what is beyond is still told as files."""


def file_value(looking: Looking, name: Name, path: str, status: os.stat_result) -> tuple[os.stat_result, Any] | None:
    """Read a path's state, as effects show it, and the status that belongs to it; None when it is gone.

    What changes while it is read is read again, a few times. Only regular files are opened.
    """
    for _ in range(_TRIES):
        try:
            state, after = state_of(name), name.lstat()
        except OSError as error:
            looking.unread(path, error)
            return status, _unread(status).document()
        if state is None or after is None:
            return None
        looking.hashed += st.S_ISREG(after.st_mode)
        document = state.document()
        if stamp_of(status) == stamp_of(after):
            break
        status = after
    else:
        looking.limit(f"{path} changed each time it was read: its hash may belong to no single moment.")
    return status, document


def _unread(status: os.stat_result) -> State:
    kind = file_type(status)
    size = status.st_size if kind == "file" else 0
    return State(kind, st.S_IMODE(status.st_mode), status.st_uid, status.st_gid, size)


def files(looking: Looking, on: Ground) -> Iterator[Fact]:
    """Tell every path under `watch`, in order; files that are as they were have the hash they had."""
    if not looking.watch:
        return
    with looking.recall("watch") as known:
        for met in Walk(looking, on):
            value = _known_value(looking, known, met)
            if value is not None:
                yield Fact("file", met.path, value)


def _known_value(looking: Looking, known: Known, met: Met) -> Any:
    is_file = st.S_ISREG(met.status.st_mode)
    looking.seen += is_file
    value = known.recall(met.path, met.status) if met.steady else None
    if value is not None:
        looking.known += is_file
        return value
    read = file_value(looking, met.name, met.path, met.status)
    if read is None:
        return None
    status, value = read
    if met.steady and (not is_file or value["sha256"] is not None):
        known.keep(met.path, status, value)
    return value


def contents(looking: Looking, on: Ground) -> dict[str, list[Fact]]:
    """Read what is in the configuration files and certificates under `watch`: facts by kind, sorted."""
    found: dict[str, list[Fact]] = {"config": [], "certificate": []}
    if not looking.watch:
        return found
    with looking.recall("contents") as known:
        for met in Walk(looking, on):
            if st.S_ISREG(met.status.st_mode) and _has_words(met):
                _take(looking, known, met, found)
    for facts in found.values():
        facts.sort(key=lambda fact: fact.key)
    return found


def _has_words(met: Met) -> bool:
    raw = os.fsencode(met.path)
    return met.status.st_size <= formats.LARGEST_BYTES and (
        formats.reader_for(raw) is not None or certificate.is_named_so(raw)
    )


def _take(looking: Looking, known: Known, met: Met, found: dict[str, list[Fact]]) -> None:
    rows = known.recall(met.path, met.status) if met.steady else None
    if rows is None:
        content = _content(met.name)
        if content is None or len(content) > formats.LARGEST_BYTES:
            return
        rows = _words(met.path, content)
        status = met.name.lstat()
        if status is not None and stamp_of(status) == stamp_of(met.status) and met.steady:
            known.keep(met.path, status, rows)
    for kind, subject, value in rows:
        if len(found[kind]) == _MOST:
            looking.limit(f"Of {kind} facts, {_MOST} are told; the rest is told as files.")
        else:
            found[kind].append(Fact(kind, subject, value))


def _content(name: Name) -> bytes | None:
    """Read a file; None when it is gone, or not ours to read, which is said where it is hashed."""
    with contextlib.suppress(OSError), open(open_file(name), "rb") as file:
        return file.read(formats.LARGEST_BYTES + 1)
    return None


def _words(path: str, content: bytes) -> list[tuple[str, str, Any]]:
    raw = os.fsencode(path)
    rows = [("config", subject, value) for subject, value in config.known(raw, content)]
    shown = certificate.first(content) if certificate.is_named_so(raw) else None
    return [*rows, *([("certificate", path, shown._asdict())] if shown else [])]

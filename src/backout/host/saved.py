"""What is saved of a host when an incident begins, before anybody mends anything: files, services, the end of logs.

It lies in `incidents/ID` of the state folder, for the state's owner alone, and is told in FORMATS.md. It is small, has
a limit in bytes and in time, and runs at the lowest priority: what is in trouble already must not suffer from it.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import stat as st
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from backout.host import services as managing
from backout.model.service import unit_name

MOST_BYTES = 64 << 20
"""What is saved of a host, at most."""
MOST_FILES = 20_000
_SHARE_OF_FREE = 10
"""The part of what is free on the disk that is taken at most: a tenth. A full disk may be what broke."""
_LOG_BYTES, _LOG_LINES = 256 << 10, 2000
_JOURNAL_S = 5.0
_CHUNK = 1 << 20
_SKIPPED = (b"__pycache__", b".git")
_LOGS = "/var/log"
_NAMED_AT_MOST = 20
MANIFEST = b"saved.json"
FORMAT = 1


class Found(NamedTuple):
    """A file that is to be saved."""

    size: int
    path: bytes


class Limits:
    """How much room and time is left; `left_out` are paths that had none, and `count` how many there were."""

    def __init__(self, state: bytes, within_s: float) -> None:
        """Begin now."""
        disk = os.statvfs(state)
        self._until = time.monotonic() + within_s
        self.bytes = min(MOST_BYTES, disk.f_bavail * disk.f_frsize // _SHARE_OF_FREE)
        self.used = 0
        self.left_out: list[str] = []
        self.count = 0

    @property
    def is_late(self) -> bool:
        """Tell whether the time is over."""
        return time.monotonic() >= self._until

    def leave(self, path: bytes) -> None:
        """Note a path that is not saved; the first ones by name."""
        self.count += 1
        if self.count <= _NAMED_AT_MOST:
            self.left_out.append(os.fsdecode(path))


def save(state: bytes, incident: str, watch: Sequence[str], services: Sequence[str], within_s: float) -> dict[str, Any]:
    """Save once for each incident; gives {where, files, size_bytes, left_out, more_left_out, services, logs, again}.

    `again` tells that it was saved before: what the host was like then is worth more.
    """
    folder = os.path.join(state, b"incidents", os.fsencode(incident))
    if os.path.exists(os.path.join(folder, MANIFEST)):
        with open(os.path.join(folder, MANIFEST), "rb") as file:
            return {**json.loads(file.read()), "again": True}
    os.nice(19)  # for the rest of this half's life: what may follow are backups
    for made in (os.path.dirname(folder), folder):
        os.makedirs(made, mode=0o700, exist_ok=True)
    limits = Limits(state, within_s)
    told: dict[str, Any] = {"format": FORMAT, "where": os.fsdecode(folder)}
    told["services"] = {unit: known._asdict() for unit, known in managing.states(map(unit_name, services)).items()}
    told["logs"] = _save_logs(folder, services, limits)
    rows = _save_files(folder, watch, limits)
    told.update(
        files=len(rows),
        size_bytes=limits.used,
        left_out=limits.left_out,
        more_left_out=limits.count - len(limits.left_out),
    )
    _write(folder, b"files.json", "".join(json.dumps(row) + "\n" for row in rows).encode())
    _write(folder, MANIFEST, json.dumps(told).encode())
    return {**told, "again": False}


def _save_files(folder: bytes, watch: Sequence[str], limits: Limits) -> list[dict[str, Any]]:
    """Copy files below `watch`, the smallest first, since settings are small; give a row for each that was copied."""
    found = sorted(_found([os.fsencode(path) for path in watch], os.path.dirname(os.path.dirname(folder)), limits))
    os.makedirs(folder + b"/files", mode=0o700, exist_ok=True)
    rows = []
    for number, (size, path) in enumerate(found):
        if number >= MOST_FILES or limits.used + size > limits.bytes or limits.is_late:
            limits.leave(path)
            continue
        copy = b"files/%06d" % number
        status = _copy(path, os.path.join(folder, copy), limits)
        if status is not None:
            owner = {"mode": st.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}
            rows.append({"path": os.fsdecode(path), **owner, "mtime_ns": status.st_mtime_ns, "copy": os.fsdecode(copy)})
    return rows


def _found(roots: Sequence[bytes], state: bytes, limits: Limits) -> Iterator[Found]:
    """Find the regular files, our own state left out; no link is followed, and no other file system entered."""
    for root in roots:
        try:
            device = os.lstat(root).st_dev
        except OSError:
            continue
        stack = [root]
        while stack and not limits.is_late:
            path = stack.pop()
            if path == state:
                continue
            try:
                status = os.lstat(path)
                if st.S_ISREG(status.st_mode):
                    yield Found(status.st_size, path)
                elif st.S_ISDIR(status.st_mode) and status.st_dev == device:
                    stack += [entry.path for entry in os.scandir(path) if entry.name not in _SKIPPED]
            except OSError:
                limits.leave(path)
        for path in stack:
            limits.leave(path)


def _copy(source: bytes, target: bytes, limits: Limits) -> os.stat_result | None:
    """Copy a file's bytes, readable by us alone; None where it cannot be read, or the limit is met on the way."""
    try:
        reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        limits.leave(source)
        return None
    begun = limits.used
    try:
        status = os.fstat(reading)
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            while st.S_ISREG(status.st_mode) and limits.used <= limits.bytes:
                data = os.read(reading, _CHUNK)
                if not data:
                    return status
                os.write(writing, data)
                limits.used += len(data)
        finally:
            os.close(writing)
        os.unlink(target)
    except OSError:
        if os.path.exists(target):
            os.unlink(target)
    finally:
        os.close(reading)
    limits.used = begun
    limits.leave(source)
    return None


def _save_logs(folder: bytes, services: Sequence[str], limits: Limits) -> list[str]:
    """Keep the end of what services logged: of systemd's journal, else of files in /var/log that bear their names."""
    os.makedirs(folder + b"/logs", mode=0o700, exist_ok=True)
    kept: list[str] = []
    for service in services:
        if limits.is_late:
            break
        name = unit_name(service).rpartition(".")[0].replace("/", "-")
        for source, data in _logs(service, name):
            path = f"logs/{name}-{len(kept)}"
            if not data or limits.used + len(data) > limits.bytes:
                continue
            _write(folder, path.encode(), data)
            limits.used += len(data)
            kept.append(f"{source}: {path}")
    return kept


def _logs(service: str, name: str) -> Iterator[tuple[str, bytes]]:
    if shutil.which("journalctl") and managing.manager() == managing.SYSTEMD:
        words = ["journalctl", "--no-pager", "-o", "short-iso", "-n", str(_LOG_LINES), "-u", unit_name(service)]
        yield " ".join(words), _said(words)
        return
    literal = glob.escape(name)
    for path in sorted({*glob.glob(f"{_LOGS}/{literal}*"), *glob.glob(f"{_LOGS}/{literal}/*")}):
        if os.path.isfile(path) and not path.endswith((".gz", ".xz", ".zst")):
            yield path, _tail(path)


def _said(words: Sequence[str]) -> bytes:
    import subprocess

    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_JOURNAL_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout[-_LOG_BYTES:]


def _tail(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_BYTES))
            return file.read(_LOG_BYTES)
    except OSError:
        return b""


def _write(folder: bytes, name: bytes, data: bytes) -> None:
    """Write a file, all of it or none."""
    path = os.path.join(folder, name)
    with open(os.open(path + b".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + b".new", path)


def let_go(state: bytes, older_than_s: float, *, dry_run: bool) -> int:
    """Remove what was saved longer ago; gives how many bytes that frees."""
    folder, freed = os.path.join(state, b"incidents"), 0
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        if time.time() - os.lstat(path).st_mtime >= older_than_s:
            freed += sum(_size(inner) for inner, _, _ in os.walk(path))
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)
    return freed


def _size(folder: bytes) -> int:
    return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in os.scandir(folder))

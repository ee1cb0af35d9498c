"""What is kept of each change beside the ledger: its plan, its raw effects, its effects document, its output."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable

from backout.errors import NeedsPersonError, UsageError
from backout.host.files import make_private, read_whole, write_durably
from backout.host.folders import remove_tree
from backout.host.mounts import is_within
from backout.host.plan import Plan, pack_plan, places, unpack_plan
from backout.host.tree import GONE, Parents
from backout.model import pieces, shape
from backout.model.effect import DOCUMENT, RawEffect
from backout.model.state import DOCUMENT as STATE
from backout.model.state import unpack
from backout.model.step import Service, Step

_ROWS = shape.many(shape.row(shape.path, shape.maybe(STATE), shape.maybe(STATE)))
_AT_A_MOUNT = re.compile(rb"^(?:/.*?)?/\.backout(?:-\d+)?/", re.DOTALL)


def _live(step: Step) -> bytes:
    return b"" if isinstance(step, Service) else step.path


_GZIP = 31
"""The window's size and the header that zlib writes (zlib.h, deflateInit2)."""


class Archive:
    """The folder of one change."""

    def __init__(self, state: bytes, change: str) -> None:
        """Name the folder; nothing is made yet."""
        self.change = change
        self.folder = state + b"/changes/" + os.fsencode(change)
        self._stage = state + b"/stage"

    def keep(self, plan: Plan, raw: Iterable[RawEffect], document: Mapping[str, Any] | None = None) -> str:
        """Write plan, raw effects and document durably; give the plan's hash, which the ledger carries.

        The document's effects may be any iterable.
        """
        make_private(self.folder)
        rows = ([os.fsdecode(r.path), r.before and r.before.packed(), r.after and r.after.packed()] for r in raw)
        write_durably(self.folder + b"/raw.json.gz", _compressed(pieces.array(rows)))
        if document is not None:
            write_durably(self.folder + b"/effects.json", pieces.document(document, "effects"))
        digest = hashlib.sha256()
        write_durably(self.folder + b"/plan.json", _hashed(pieces.document(pack_plan(plan), "steps"), digest.update))
        return digest.hexdigest()

    def keep_output(self, output: bytes) -> None:
        """Keep what the command wrote."""
        make_private(self.folder)
        write_durably(self.folder + b"/output", (output,))

    def output(self) -> bytes:
        """Read what the command wrote; empty where nothing was kept."""
        try:
            return self._read(b"output")
        except UsageError:
            return b""

    def save(self, name: bytes, content: bytes) -> str:
        """Keep the content of a live file beside the change; gives where."""
        make_private(self.folder)
        write_durably(self.folder + b"/" + name, (content,))
        return os.fsdecode(self.folder + b"/" + name)

    def plan(self, expected_hash: str | None = None) -> Plan:
        """Read the plan; NeedsPersonError when it is damaged, UsageError when gc let it go."""
        content = self._read(b"plan.json")
        if expected_hash is not None and hashlib.sha256(content).hexdigest() != expected_hash:
            raise self.damaged(b"plan.json")
        try:
            plan = unpack_plan(shape.load(content))
        except ValueError as error:
            raise self.damaged(b"plan.json") from error
        if not all(map(self._is_staged, places(plan))) or any(map(self._is_state, map(_live, plan.steps))):
            raise self.damaged(b"plan.json")
        return plan

    def _is_staged(self, path: bytes) -> bool:
        """Tell a path in a change's folder of a stage: nothing is switched with, or removed from, anywhere else."""
        below = self._stage + b"/"
        name = path[len(below) :] if path.startswith(below) else _AT_A_MOUNT.sub(b"", path, count=1)
        return name != path and shape.name(os.fsdecode(name.partition(b"/")[0]))

    def _is_state(self, path: bytes) -> bool:
        return is_within(path, os.path.dirname(self._stage))

    def raw(self) -> list[RawEffect]:
        """Read the raw effects."""
        try:
            rows = shape.load(zlib.decompress(self._read(b"raw.json.gz"), _GZIP))
            if not _ROWS(rows):
                raise self.damaged(b"raw.json.gz")
            return [RawEffect(os.fsencode(path), unpack(before), unpack(after)) for path, before, after in rows]
        except (ValueError, EOFError, zlib.error) as error:
            raise self.damaged(b"raw.json.gz") from error

    def document(self) -> dict[str, Any]:
        """Read the effects document."""
        try:
            document: dict[str, Any] = shape.load(self._read(b"effects.json"))
        except ValueError as error:
            raise self.damaged(b"effects.json") from error
        if not DOCUMENT(document):
            raise self.damaged(b"effects.json")
        return document

    def damaged(self, name: bytes) -> NeedsPersonError:
        """Say that one of a change's files is not as it was written."""
        return NeedsPersonError(
            f"What is kept of change {self.change} is damaged: {os.fsdecode(self.folder + b'/' + name)}.",
            state="Nothing was changed; the pre-images in the stage are untouched.",
            next='See "Recovery by hand" in the documentation.',
        )

    def _read(self, name: bytes) -> bytes:
        try:
            return read_whole(self.folder + b"/" + name)
        except FileNotFoundError:
            raise UsageError(
                f"Nothing is kept of change {self.change} any more.",
                next="backout log shows what can still be taken back.",
            ) from None
        except OSError as error:
            if error.errno not in (*GONE, errno.ESTALE):
                raise
            raise self.damaged(name) from error

    def drop(self, folders: Iterable[bytes] = ()) -> None:
        """Let the change's bits go: its stage folders, plan and raw effects; the document stays readable."""
        drop_stages((*folders, self._stage + b"/" + os.fsencode(self.change)))
        for name in (b"plan.json", b"raw.json.gz"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.folder + b"/" + name)


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress as gzip does, with no time in it."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def _hashed(pieces: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)
        yield piece


def drop_stages(folders: Iterable[bytes]) -> None:
    """Remove stage folders, and the folders above that only held them; a mount's root keeps its times."""
    for folder in folders:
        remove_tree(folder)
        parent = os.path.dirname(folder)
        if os.path.basename(folder).startswith(b"shims-"):  # which lies in the state folder itself
            continue
        while os.path.basename(parent) != b"changes" and _removed(parent):
            if os.path.basename(parent).startswith((b".backout", b"stage")):
                break
            parent = os.path.dirname(parent)


def _removed(folder: bytes) -> bool:
    """Remove a folder that is there and empty; the one above keeps its times."""
    parents = Parents()
    try:
        name = parents.name(folder)
        status = os.fstat(name.directory)
        os.rmdir(name.name, dir_fd=name.directory)
        os.utime(name.directory, ns=(status.st_atime_ns, status.st_mtime_ns))
    except OSError as error:
        if error.errno not in (*GONE, errno.ENOTEMPTY):
            raise
        return False
    finally:
        parents.close()
    return True

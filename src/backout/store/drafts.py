"""Files that somebody edits: each lies in a folder of its own until what was typed is on record.

Who edits holds the folder, by a lock that the kernel lets go of with the last process that has it: the editor, too. So
a file in a folder that nobody holds was left by a crash, and is given to the next who asks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from backout.errors import FailedError
from backout.host.alone import alone_in

_FILE = "review.md"


class Draft:
    """One such file, held. `descriptor` is what holds it."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        """Take over a folder that is held."""
        self.path = folder / _FILE
        self.descriptor = descriptor

    @property
    def is_left(self) -> bool:
        """Tell whether somebody's text lies there."""
        return self.path.is_file()

    def read(self) -> bytes:
        """Give what the file holds; a FailedError where an editor took it away."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise FailedError(f"{self.path} cannot be read: {error.strerror}.") from None

    def write(self, content: str) -> None:
        """Put a text in the file, whole or not at all, readable by its owner alone."""
        part = self.path.with_suffix(".part")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(content.encode("utf-8", "surrogateescape"))
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            raise FailedError(f"{self.path} cannot be written: {error.strerror}.") from None

    def put_away(self) -> Path:
        """Move what lies there to where nobody is offered it any more, and say where."""
        for number in count(1):
            away = self.path.parent.with_name(f"{self.path.parent.name}-left-{number}.md")
            with contextlib.suppress(FileExistsError):
                os.link(self.path, away)
                self.path.unlink()
                return away
        raise AssertionError

    def remove(self) -> None:
        """Let it go: all of it is on record, or nothing was typed."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def close(self) -> None:
        """Hold it no longer."""
        os.close(self.descriptor)


@contextlib.contextmanager
def held(folder: Path, name: str) -> Iterator[Draft]:
    """Hold a file for somebody who edits what has this name: one that was left, else a new one that is not there yet.

    A FailedError where the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _left(folder, name) or _new(folder, name)
    except OSError as error:
        raise FailedError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        yield draft
    finally:
        if not draft.is_left:
            draft.remove()
        draft.close()


@contextlib.contextmanager
def one_by_one(folder: Path) -> Iterator[None]:
    """Let one in after the other, among all who save what was edited in this folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone_in(folder):
        yield


def _left(folder: Path, name: str) -> Draft | None:
    for place in sorted(folder.glob(f"{name}.*/{_FILE}")):
        draft = _hold(place.parent)
        if draft is not None and draft.is_left:
            return draft
        if draft is not None:
            draft.close()
    return None


def _new(folder: Path, name: str) -> Draft:
    for number in count(1):
        place = folder / f"{name}.{number}"
        place.mkdir(mode=0o700, exist_ok=True)
        draft = _hold(place)
        if draft is not None and not draft.is_left:
            return draft
        if draft is not None:
            draft.close()
    raise AssertionError


def _hold(place: Path) -> Draft | None:
    """Hold a folder; None where somebody else does, or where it is gone by then."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(place)):
            return Draft(place, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None

"""The user's editor on a copy of a file."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backout.errors import FailedError, UsageError


@contextlib.contextmanager
def edited(file: str) -> Iterator[str | None]:
    """Give the path of the edited copy, None when nothing was changed; the copy is gone afterwards.

    $VISUAL, then $EDITOR, then vi (environ(7)). An editor that fails, or a file that is none, is an error.
    """
    original = Path(file)
    if original.exists() and not original.is_file():
        raise UsageError(f"{file} is not a file.", next="backout edit FILE")
    with tempfile.TemporaryDirectory(prefix="backout-edit-") as folder:
        copy = Path(folder) / original.name
        try:
            shutil.copyfile(original, copy) if original.exists() else copy.touch()
        except OSError as error:
            raise FailedError(f"{file} cannot be read: {error.strerror}.") from None
        before = copy.read_bytes()
        _edit(copy)
        yield str(copy) if copy.read_bytes() != before else None


def _edit(copy: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.call([*shlex.split(editor), str(copy)])
    except OSError as error:
        raise FailedError(f"The editor {editor!r} cannot be started: {error.strerror}.", next="Set EDITOR.") from None
    if code != 0:
        raise FailedError(f"The editor exited {code}.", next="Edit again, and leave it with a save.")

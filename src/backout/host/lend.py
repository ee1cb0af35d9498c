"""A file that is edited elsewhere: given out as it is, and what came of it laid where a command reads it."""

from __future__ import annotations

import base64
import os
from typing import Any

from backout.errors import FailedError, UsageError

LONGEST_BYTES = 16 << 20
"""A file that is longer is none that a person edits."""


def give_out(path: str) -> dict[str, Any]:
    """Give {path, data}: a file's true path, and what it holds in base64; null where it is not there.

    BackoutErrors say why it cannot be edited: it is no file, its folder is not there, we may not write it.
    """
    true = os.path.realpath(path)
    if not os.path.isabs(path):
        raise UsageError(f"{path} is not an absolute path.", next="Name the file from / on.")
    if os.path.exists(true) and not os.path.isfile(true):
        raise UsageError(f"{true} is not a file.", next="backout edit FILE")
    if not os.path.isdir(os.path.dirname(true)):
        raise FailedError(f"The folder {os.path.dirname(true)} is not there.", next="Make it with backout run.")
    if not os.access(true if os.path.exists(true) else os.path.dirname(true), os.W_OK):
        raise FailedError(f"You may not write {true}.", next='Say become = "sudo" in backout.toml, or log in as root.')
    if not os.path.exists(true):
        return {"path": true, "data": None}
    with open(true, "rb") as file:
        data = file.read(LONGEST_BYTES + 1)
    if len(data) > LONGEST_BYTES:
        raise FailedError(f"{true} is longer than {LONGEST_BYTES >> 20} MiB.", next="Change it with backout run.")
    return {"path": true, "data": base64.b64encode(data).decode()}


def lay(folder: str, name: str, data: str | None) -> str:
    """Write a file into the folder, for us alone, and give its path; without data there is none, and no path."""
    if data is None:
        return ""
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(base64.b64decode(data))
    return path


def new_folder() -> str:
    """Make a folder for what is laid, where a rehearsal sees it."""
    import tempfile  # with what it imports 4 ms, which every other command would pay

    return tempfile.mkdtemp(prefix="backout-edit-")

"""What the kernel refuses, told as an error of ours: what failed and why, the host's state, the next command."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from backout.errors import FailedError

UNTOUCHED = "Nothing was changed."
AS_BEFORE = "Everything is as it was before."
HALF_WAY = "Unknown until recovered."
RECOVER = "Mend that, then: backout recover"


def cause(error: OSError) -> str:
    """Say what the kernel said, and at which path where that is known."""
    said = error.strerror or str(error)
    return f"{said} at {os.fsdecode(error.filename)}" if isinstance(error.filename, (str, bytes)) else said


@contextlib.contextmanager
def told(what: str, state: str, next: str = "Mend that, then try again.") -> Iterator[None]:
    """Raise a FailedError in place of any OSError of what is done inside; `state` must be true wherever that fails."""
    try:
        yield
    except OSError as error:
        raise FailedError(f"{what}: {cause(error)}.", state, next) from error

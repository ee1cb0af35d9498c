"""The error tree: every error knows its exit code, the host's state and the next command.

The exit codes are the contract of the command line (design, section 3).
"""

from __future__ import annotations

from typing import Any


class BackoutError(Exception):
    """What happened, what state the host is in now, and what to do next."""

    exit_code = 1
    shown = False
    """Whether the document of what happened has been given already, so that the error is told in words alone."""

    def __init__(self, what: str, state: str = "Nothing was changed.", next: str = "") -> None:
        """Keep the three sentences; `next` may be empty when there is nothing to do."""
        super().__init__(what)
        self.what = what
        self.state = state
        self.next = next

    def document(self) -> dict[str, Any]:
        """Give the `backout.error/1` document."""
        return {
            "schema": "backout.error/1",
            "exit_code": self.exit_code,
            "what": self.what,
            "state": self.state,
            "next": self.next,
        }


class FailedError(BackoutError):
    """It failed, and nothing changed (1)."""


class UsageError(BackoutError):
    """The command line was used wrongly (2)."""

    exit_code = 2


class ConfigError(BackoutError):
    """The configuration is wrong; the message names the place (2)."""

    exit_code = 2


class RefusedError(BackoutError):
    """The answer is no; nothing changed (3)."""

    exit_code = 3


class NeedsPersonError(BackoutError):
    """A person has to act; what to do is in `next` (5)."""

    exit_code = 5


class ConflictError(BackoutError):
    """The host moved on since the rehearsal, or since we left it (6)."""

    exit_code = 6
    conflicts: tuple[Any, ...] = ()


class NotPossibleError(BackoutError):
    """This host cannot do it; doctor says why (7)."""

    exit_code = 7


class InterruptedError(BackoutError):  # noqa: A001 - as A004 in pyproject.toml
    """The user interrupted; the host is as before (130)."""

    exit_code = 130


_BY_CODE = {
    kind.exit_code: kind
    for kind in (
        FailedError,
        UsageError,
        RefusedError,
        NeedsPersonError,
        ConflictError,
        NotPossibleError,
        InterruptedError,
    )
}


def from_document(document: dict[str, Any]) -> BackoutError:
    """Turn a `backout.error/1` document back into the error that it was."""
    kind = _BY_CODE.get(document.get("exit_code", 1), FailedError)
    return kind(document["what"], document["state"], document["next"])

"""What a lens is given and what it gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from backout.model.effect import Effect
    from backout.model.service import ServiceRequest, ServiceState


class View(Protocol):
    """A read-only look at the host before and after; paths are absolute bytes."""

    requests: tuple[ServiceRequest, ...]

    def before(self, path: bytes) -> bytes | None:
        """Give a file's content at the base; None when no regular file is there."""

    def after(self, path: bytes) -> bytes | None:
        """Give a file's content in the view; None when no regular file is there."""

    def names_before(self, path: bytes) -> list[bytes]:
        """List a directory at the base; empty when there is none."""

    def names_after(self, path: bytes) -> list[bytes]:
        """List a directory in the view; empty when there is none."""

    def service(self, unit: str) -> ServiceState:
        """Tell a unit's state on the host before the rehearsal."""


class Claims(NamedTuple):
    """What a lens sees: effects, and the paths that they explain to the last byte."""

    effects: tuple[Effect, ...] = ()
    explained: frozenset[bytes] = frozenset()

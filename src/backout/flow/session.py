"""What every use case is given: the host, the journal, the environment, and ways to tell and to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backout.config.values import Environment
from backout.errors import NeedsPersonError
from backout.link.wire import READING_S, Link
from backout.model.check import AFTER, Check, CheckResult
from backout.store.journal import Journal

if TYPE_CHECKING:
    from backout.flow.guards import Guarding
    from backout.flow.staged import Twin


class Who(NamedTuple):
    """Who gave the command: the login name, and the one behind sudo."""

    name: str
    sudo: str | None = None

    def __str__(self) -> str:
        """Name the person, not the privilege."""
        return self.sudo or self.name


class Teller(Protocol):
    """How a use case tells a person how far it is, and asks."""

    def step(self, text: str) -> None:
        """Say what begins now."""

    def show(self, document: dict[str, Any]) -> None:
        """Show the report of what happened; of what was asked about, only what became of it."""

    def ask(self, question: str, about: dict[str, Any]) -> bool | None:
        """Show what a question is about and ask, yes or no; None, and nothing shown, when nobody is there to answer."""


class Session(NamedTuple):
    """One command's surroundings."""

    link: Link
    journal: Journal | None
    environment: Environment | None
    who: Who
    tell: Teller
    new_id: Callable[[], str]
    host: str = ""
    """The host's name in the configuration, where the environment has several."""
    twin: Twin | None = None
    """The environment that this one should be like, where a change is to be held against what was done there."""
    guarding: Guarding | None = None
    """The guards that judge its changes, where there are any."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """Give the environment's checks; none without an environment."""
        return () if self.environment is None else self.environment.checks

    def live_checks(self, where: str = AFTER) -> list[CheckResult]:
        """Run the checks on the live host."""
        if not self.checks:
            return []
        self.tell.step(f"checking ({where})")
        with self.link.limited(sum(check.within_s for check in self.checks) + READING_S):
            rows = self.link.ask("check", checks=[check._asdict() for check in self.checks], where=where)
        return [CheckResult(**row) for row in rows]

    def changes(self) -> list[dict[str, Any]]:
        """Tell where the host's changes stand, oldest first."""
        changes: list[dict[str, Any]] = self.link.ask("changes")
        return changes

    def unfinished(self, *, wait: bool = False) -> list[str]:
        """Name the changes that a crash left half-way; with `wait`, when no other backout is at work any more."""
        found: list[str] = self.link.ask("unfinished", wait=wait)
        return found

    def learn(self) -> None:
        """Copy the ledger entries that the journal lacks."""
        if self.journal is not None:
            self.journal.learn(self.link.ask("entries"))


def require_finished(session: Session) -> None:
    """Notice a change that a crash left half-way, before another one is begun."""
    unfinished = session.unfinished(wait=True)
    if unfinished:
        raise NeedsPersonError(
            f"Change {unfinished[0]} was left unfinished by a crash.",
            state="Nothing was changed now; that change may be half applied.",
            next="backout recover",
        )

"""Guards: rules that may refuse a change, from its effects and from what is on record. Values, no judgement (law 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model.effect import Effect
from backout.model.selector import Selector
from backout.model.staging import Staging
from backout.model.verdict import Reason, first

REFUSED, OVERRIDDEN, WARNED = "refused", "overridden", "warned"
"""What became of what a guard said: an override or an incident that is open lets it through."""
NEEDS = {
    "document": "its effects document",
    "expect": "what was expected",
    "asked": "whether anybody is asked about it",
    "checks": "which checks its environment has",
    "staging": "what was done where it should be tried first",
    "moments": "when it is made",
    "incidents": "which incidents are open",
    "texts": "what the requirement files hold",
    "answers": "what the guard's program says",
}
"""What a rule may have to know beyond effects, command and environment, by its name in `Known`, and in words."""


class Guard(NamedTuple):
    """One guard, and why it is there.

    `environments` are those that it judges; none named: all, and what belongs to none. `says` is a sentence that a
    client understands, `review_by` a date (YYYY-MM-DD), `incident` what it comes from, as far as they are given.
    `override` tells whether a person may pass it. `settings` are the rule's own, read and with their defaults.
    """

    name: str
    rule: str
    why: str
    environments: tuple[str, ...] = ()
    says: str = ""
    owner: str = ""
    review_by: str = ""
    incident: str = ""
    override: bool = False
    settings: Mapping[str, Any] = {}

    def judges(self, environment: str | None) -> bool:
        """Tell whether it judges the changes of an environment (None: those that belong to none)."""
        return not self.environments or environment in self.environments


class Key(NamedTuple):
    """A key of a rule in backout.toml: how its value is read (as `convert` does), and what it says there."""

    read: Callable[[object], Any]
    help: str
    required: bool = False
    default: Any = None


class Moment(NamedTuple):
    """A moment in a time zone: the day of the week (Monday is 0), the minute of the day, and both in words."""

    day: int
    minute: int
    told: str


class Answer(NamedTuple):
    """What a guard's program answered: whether it refuses, and why; `next` is the way on."""

    refuses: bool
    text: str = ""
    next: str = ""


class Known(NamedTuple):
    """What a rule is told of a change. None: that is not known, and what needs it is not let through.

    `effects` are whole where `document` is there, else only what the journal keeps of them. `command` is as it is
    recorded, `after` runs after the apply. `asked` tells whether a person has to answer. `moments` are by time zone,
    `incidents` the open ones by environment, `texts` by path as the change leaves them (None: no such file), `answers`
    by the name of the guard. `lacks` tells by need why something is not known, and the way on.
    """

    effects: Sequence[Effect]
    environment: str | None = None
    command: Sequence[str] = ()
    cwd: str = "/"
    after: str | None = None
    document: Mapping[str, Any] | None = None
    expect: Sequence[Selector] | None = None
    asked: bool | None = None
    checks: int | None = None
    staging: Staging | None = None
    moments: Mapping[str, Moment] | None = None
    incidents: Mapping[str, Sequence[str]] | None = None
    texts: Mapping[str, str | None] | None = None
    answers: Mapping[str, Answer] | None = None
    lacks: Mapping[str, Reason] = {}


def named(effects: Sequence[Effect]) -> str:
    """Name the first of some effects."""
    return first([f"{effect.kind}:{effect.subject}" for effect in effects])


def number(count: int, noun: str = "effect") -> str:
    """Count things."""
    return f"{count} {noun}{'' if count == 1 else 's'}"

"""`backout look`: what holds on every host of an environment, now; kept in the journal, each fact once."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from backout.errors import BackoutError, FailedError
from backout.flow.fleet import Fleet, Greeting, exit_code
from backout.flow.instant import instant
from backout.flow.looked import LOOK, Keeping, Look, compared, facts, look_of, newest
from backout.flow.session import Session
from backout.model import shape
from backout.model.effect import operation
from backout.model.fact import Fact
from backout.store.journal import Journal
from backout.store.spool import Spool

LIMIT_S = 900.0
"""How long a host may take for a look: hashing a large tree for the first time is what takes so long."""
_TOLD = ("os", "kernel", "certificate")
_KIND = operator.itemgetter(Fact._fields.index("kind"))
_REPLY = shape.fields(
    {
        **dict.fromkeys(("at", "took_s"), shape.number),
        "counts": shape.mapping(shape.whole),
        "files": shape.fields(
            {**dict.fromkeys(("seen", "hashed", "known"), shape.whole), "how": shape.text}, closed=True
        ),
        "limits": shape.many(shape.text),
        "identity": shape.text,
        "ledger_seq": shape.whole,
        "newest_change": shape.maybe(shape.text),
    },
    closed=True,
)


class News(NamedTuple):
    """What is new since the look before: when that was (seconds since the epoch), and counts by kind and operation."""

    since: float
    counts: dict[str, dict[str, int]]


class Seen(NamedTuple):
    """A look that was just made: the few facts that a person is told in words, and what is new; None at first.

    One at some kinds alone is not kept, since whoever compares needs whole ones: its facts are in the `spool`.
    """

    look: Look
    told: tuple[Fact, ...]
    news: News | None
    spool: Spool | None = None

    @property
    def kept(self) -> bool:
        """Tell whether it is in the journal."""
        return self.spool is None


def look(fleet: Fleet, kinds: Collection[str] = (), limit_s: float = LIMIT_S) -> dict[str, Seen | BackoutError]:
    """Look at all hosts at once, in the order of the environment; of those that were not reached the reason.

    With `kinds` nothing else is looked at, and the look is not kept.
    """
    return fleet.everyone(fleet.each(lambda one: look_at(one, fleet.greetings[one.host], kinds), limit_s=limit_s))


def look_at(session: Session, greeting: Greeting, kinds: Collection[str] = ()) -> Seen:
    """Look at one host, and keep what it tells while it tells it: it may be more than fits into memory."""
    journal = session.journal
    if journal is None:
        raise FailedError("There is no journal to keep a look in.")
    host, chosen = session.host, session.environment
    environment, watch, services = (chosen.name, chosen.watch, chosen.services) if chosen else (None, (), ())
    keeping, spool = Keeping(journal), Spool() if kinds else None
    told, taken = list[Fact](), Counter[str]()

    def take(some: Sequence[Fact]) -> None:
        (keeping if spool is None else spool).take(some)
        taken.update(map(_KIND, some))
        told.extend(fact for fact in some if fact.kind in _TOLD)

    only = {"kinds": list(kinds)} if kinds else {}
    reply = session.link.look(take, watch=list(watch), services=list(services), **only)
    if not _REPLY(reply):
        raise FailedError("The host half said of its look what this one does not understand.")
    if taken != reply["counts"]:
        raise FailedError("Facts were lost on the way from the host: the look is not kept.", next="Look once more.")
    at = reply.pop("at") - greeting.skew_s
    where = {"host": host, "environment": environment, "skew_s": greeting.skew_s}
    if spool is not None:
        return Seen(Look(at, host, environment, {**where, **reply}, ()), tuple(told), None, spool)
    before = newest(journal, host, environment)
    event = journal.append(at=at, actor=host, type=LOOK, body={**where, **reply, "parts": keeping.end()})
    seen = look_of(journal, event)
    return Seen(seen, tuple(told), None if before is None else _news(journal, before, seen))


def _news(journal: Journal, before: Look, now: Look) -> News:
    """Count what is not as it was; parts that both looks have are not even read."""
    counts: dict[str, Counter[str]] = {}
    for pair in compared(journal, before, now):
        fact = pair.here or pair.there
        if fact is not None:
            counts.setdefault(fact.kind, Counter())[operation(pair.here, pair.there)] += 1
    return News(before.at, {kind: dict(of_kind) for kind, of_kind in counts.items()})


def document(journal: Journal, seen: Seen, kinds: Collection[str]) -> dict[str, Any]:
    """Give a `backout.facts/1` document, of some kinds alone where these are named; its `facts` are walked once."""
    return {**_head(seen.look, kinds), "facts": rows(journal, seen, kinds)}


def _head(look: Look, kinds: Collection[str]) -> dict[str, Any]:
    body = look.body
    return {
        "schema": "backout.facts/1",
        "environment": look.environment,
        "host": look.host,
        "at": instant(look.at),
        "counts": {kind: count for kind, count in body["counts"].items() if not kinds or kind in kinds},
        **{name: body[name] for name in ("took_s", "skew_s", "files", "limits")},
    }


def rows(journal: Journal, seen: Seen, kinds: Collection[str]) -> Iterator[Fact]:
    """Walk a look's facts, of some kinds alone where these are named: one that was not kept has no other ones."""
    if seen.spool is not None:
        return iter(seen.spool)
    return (fact for fact in facts(journal, seen.look) if not kinds or fact.kind in kinds)


def told(seen: Seen) -> dict[str, Any]:
    """Give the document of a look with those of its facts alone that are told in words."""
    return {**_head(seen.look, ()), "facts": seen.told}


def news(seen: Seen) -> dict[str, Any] | None:
    """Give what is new as `{since, counts}`; None at the first look."""
    return None if seen.news is None else {"since": instant(seen.news.since), "counts": seen.news.counts}


def code_of(results: Iterable[Seen | BackoutError]) -> int:
    """Give the exit code of a look at several hosts."""
    return exit_code(result.exit_code if isinstance(result, BackoutError) else 0 for result in results)

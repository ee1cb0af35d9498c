"""The outbox: what is to go where is in the journal before it goes, and its result afterwards; nothing goes twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from backout.config.values import Config
from backout.errors import ConflictError, FailedError, NeedsPersonError, UsageError
from backout.flow.incidents import record
from backout.flow.notices import Draft
from backout.flow.tell import address, standing, standing_deliveries
from backout.model.incident import CLOCK, DELIVERY, NOTICE, Incident
from backout.model.notice import (
    FAILED,
    GIVEN_UP,
    SENT,
    TRYING,
    UNKNOWN,
    UPDATE,
    WAITING,
    Delivery,
    Message,
    Result,
    after,
    deliveries,
    each_target,
    target_name,
    words_sent,
)
from backout.store.journal import Journal

_WAIT_S = 60.0
"""How long another one who sends is waited for."""


class Outbox(NamedTuple):
    """Where notices go out: `send` gives a message to one target, `heard` is told of each result as it comes."""

    journal: Journal
    config: Config
    who: str
    send: Callable[[str, Message], Result]
    heard: Callable[[Delivery], None] = lambda _: None
    wait_s: float = _WAIT_S
    clock: Callable[[], float] = time.time

    def tell(self, incident: Incident, words: Sequence[Draft], new_id: Callable[[], str]) -> list[str]:
        """Record notices, send each to its targets, one at a time, and record each result; give the notices' ids.

        Somebody else who told one of the audiences meanwhile is a ConflictError, and nothing is sent.
        """
        with self._alone():
            self._require_unsaid(incident, words)
            require_decided(standing(self.journal)[incident.id], words)
            names = self._names(len(words), new_id)
            for name, word in zip(names, words, strict=True):
                self._put(incident, word, name)
            places = [key for key in standing_deliveries(self.journal, incident.id) if key[0] in names]
            try:
                for key in places:
                    self._attempt(incident.id, key)
            except BaseException:
                self._give_up(incident.id, names)
                raise
        return names

    def retry(self) -> list[str]:
        """Send what failed and is due once more, and what a crash kept from being tried; give the notices' ids.

        Where somebody sends at this moment, nothing is done.
        """
        tried = []
        with self.journal.sending(0) as alone:
            for name, incident in standing(self.journal).items() if alone else ():
                for key, one in deliveries(incident.entries, sending=False).items():
                    due = one.retry_at is not None and one.retry_at <= self.clock()
                    if due and address(self.config, one) is not None:
                        self._attempt(name, key)
                        tried.append(one.notice)
        return list(dict.fromkeys(tried))

    def decide(self, id: int, *, again: bool) -> str:
        """Settle a delivery that a person names: it is there, or it is sent again; give the notice's id."""
        with self._alone():
            name, one = self._named(id)
            if not again:
                self._record(name, one, one.attempt, SENT, f"it is there, says {self.who}")
            elif address(self.config, one) is None:
                raise UsageError(
                    f"{one.target} is no target of {one.audience} in {self.config.path or 'a backout.toml'}.",
                    state="Nothing was sent.",
                )
            else:
                self._attempt(name, (one.notice, one.target))
        return one.notice

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.journal.sending(self.wait_s) as alone:
            if not alone:
                raise FailedError(
                    "Another backout is sending.", state="Nothing was sent by this one.", next="Try again."
                )
            yield

    def _require_unsaid(self, incident: Incident, words: Iterable[Draft]) -> None:
        """Stop where an audience heard of it after these words were composed: two first words confuse everybody."""
        before, now = words_sent(incident), words_sent(standing(self.journal)[incident.id])
        for word in words:
            key = word.audience.key
            if len(now.get(key, ())) != len(before.get(key, ())):
                raise ConflictError(f"Somebody told {key} meanwhile.", state="Nothing was sent.", next="backout tell")

    def _names(self, count: int, new_id: Callable[[], str]) -> list[str]:
        """Give names that no notice has: several are made in a second, and the letters of an id may be the same."""
        taken = {
            entry.body.get("notice") for known in standing(self.journal).values() for entry in known.of_kind(NOTICE)
        }
        names: list[str] = []
        while len(names) < count:
            name = f"n{new_id()}"
            if name not in taken and name not in names:
                names.append(name)
        return names

    def _put(self, incident: Incident, word: Draft, name: str) -> None:
        """Record what is to go where, before anything goes."""
        (html,) = self.journal.keep([word.html.encode()])
        more = {
            "notice": name,
            "audience": word.audience.key,
            "type": word.type,
            "status": word.status,
            "impact": word.impact,
            "subject": word.subject,
            "plain": word.plain,
            "html": html,
            "fields": dict(word.fields),
            "targets": [target_name(target) for target in each_target(word.audience.to)],
            "next_at": word.fields.get("next_at"),
        }
        record(self.journal, self.who, incident.id, NOTICE, word.subject, more=more, at=self.clock())

    def _attempt(self, incident: str, key: tuple[str, str]) -> None:
        """Send a notice to one target: that it is tried is recorded first, what came of it afterwards."""
        one = standing_deliveries(self.journal, incident)[key]
        target = address(self.config, one)
        if target is None:
            raise ValueError(key)
        message = self._message(incident, one)
        attempt = one.attempt + 1
        self._record(incident, one._replace(message_id=message.id), attempt, TRYING, "")
        result = self.send(target, message)
        self._record(incident, one._replace(message_id=message.id), attempt, after(result.state, attempt), result.reply)
        self.heard(standing_deliveries(self.journal, incident)[key])

    def _message(self, incident: str, one: Delivery) -> Message:
        """Put together what was recorded; each attempt has the Message-ID of the first."""
        (entry,) = (
            entry for entry in standing(self.journal)[incident].of_kind(NOTICE) if entry.body["notice"] == one.notice
        )
        domain = self.config.mail.sender.rpartition("@")[2].strip("<> ") or "backout.invalid"
        mark = hashlib.sha256(one.target.encode()).hexdigest()[:8]
        html = self.journal.content(entry.body["html"]) or b""
        name = one.message_id or f"<{one.notice}.{mark}@{domain}>"
        return Message(name, entry.body["subject"], entry.body["plain"], html.decode())

    def _record(self, incident: str, one: Delivery, attempt: int, state: str, reply: str) -> None:
        more = {"notice": one.notice, "target": one.target, "attempt": attempt, "message_id": one.message_id}
        said = f"{one.target}: {state}" + (f": {reply}" if reply else "")
        more |= {"state": state, "reply": reply}
        record(self.journal, self.who, incident, DELIVERY, said, more=more, at=self.clock())
        if state == SENT and standing(self.journal)[incident].clock("first_notice") is None:
            clock = {"clock": "first_notice", "value": self.clock()}
            record(self.journal, self.who, incident, CLOCK, "first notice sent", more=clock, at=self.clock())

    def _give_up(self, incident: str, names: Iterable[str]) -> None:
        """Let go of what was not tried yet: who interrupts does not want it to go out a minute later by itself."""
        for one in standing_deliveries(self.journal, incident).values():
            if one.notice in names and one.state == WAITING:
                self._record(incident, one, one.attempt, GIVEN_UP, "interrupted before it was tried")

    def _named(self, id: int) -> tuple[str, Delivery]:
        for name, incident in standing(self.journal).items():
            for one in deliveries(incident.entries, sending=False).values():
                if one.id == id and one.state in (UNKNOWN, FAILED, GIVEN_UP):
                    return name, one
        raise UsageError(
            f"No delivery {id} waits for a decision.", state="Nothing was sent.", next="backout tell --retry"
        )


def require_decided(incident: Incident, words: Iterable[Draft]) -> None:
    """Stop where an audience may already have a word of this type: a person decides first. Asked where nobody sends.

    An update says something new each time; it need not wait for the one before.
    """
    told = {(word.audience.key, word.type) for word in words if word.type != UPDATE}
    for one in deliveries(incident.entries, sending=False).values():
        if one.state == UNKNOWN and not one.overtaken and (one.audience, one.type) in told:
            raise NeedsPersonError(
                f"Nobody knows whether {one.target} has this word already: {one.reply}.",
                state="Nothing was sent.",
                next=f"Ask them. If they have it: backout tell --sent {one.id}; else: backout tell --again {one.id}",
            )

"""`backout tell`: show what would be said, ask once, send, and say loudly what did not arrive."""

from __future__ import annotations

import contextlib
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from backout import bootstrap
from backout.cli.person import who
from backout.cli.reminding import remind
from backout.cli.screens import put, put_json, screen
from backout.cli.telling import FIELDS
from backout.config.find import load
from backout.config.nearest import did_you_mean
from backout.config.values import Config
from backout.errors import InterruptedError, RefusedError, UsageError
from backout.flow import tell as flow
from backout.flow.incidents import current, read
from backout.flow.notices import Draft, Wish, answered, drafts, keep_draft
from backout.flow.outbox import Outbox, require_decided
from backout.model.incident import Incident
from backout.model.notice import LETTER, Delivery
from backout.store.journal import Journal

_QUESTIONS = {
    "seen": ("--seen", "What do you see?"),
    "changed": ("--changed", "What changed since the last word?"),
    "remedy": ("--remedy", "How far is the remedy?"),
    "since": ("--since", ""),
    **{field: (f"--{field}", "") for field in ("why", "done", "again")},
    "how_long": ("", ""),
    "lost": ("--lost", "Which data were lost (none)?"),
}
"""Each field that a notice may lack: the option that gives it, and the question."""
_DEFAULTS = {"lost": "none"}


def tell(options: Namespace) -> int:
    """`backout tell`."""
    config = load(options.config)
    with contextlib.closing(bootstrap.journal()) as journal:
        desk = _Desk(options, config, journal)
        if options.retry or options.sent is not None or options.again is not None:
            return desk.go_on()
        code = desk.tell()
        remind(journal, config, silent=options.json or options.quiet)
        return code


class _Desk:
    """One telling at one terminal, or at none."""

    def __init__(self, options: Namespace, config: Config, journal: Journal) -> None:
        self._options, self._config, self._journal = options, config, journal
        self._screen = screen(options)
        self._outbox = Outbox(journal, config, str(who()), bootstrap.sender(config), self._heard)

    def tell(self) -> int:
        """Send the next word to those who are meant."""
        incident = self._incident()
        words = self._composed(incident)
        document = flow.preview(incident, words)
        _require_whole(incident.id, words)
        if self._options.dry_run:
            self._show(document)
            return 0
        if not self._journal.is_sending():
            require_decided(incident, words)  # before anybody is asked; where it counts it is looked at once more
        self._require_wanted(document)
        with _interruptible():
            names = self._outbox.tell(incident, words, bootstrap.new_change_id)
        return self._end(flow.document(self._journal, names))

    def go_on(self) -> int:
        """Send what is due once more, or settle what a person names."""
        options = self._options
        with _interruptible():
            if options.retry:
                names = [*self._outbox.retry(), *flow.unsettled(self._journal, time.time())]
            else:
                name = options.sent if options.again is None else options.again
                names = [self._outbox.decide(name, again=options.again is not None)]
        return self._end(flow.document(self._journal, names))

    def _incident(self) -> Incident:
        """Give the incident that is meant; without one that is open, the newest, if its end was not told yet."""
        options = self._options
        name = current(self._journal, options.incident, options.environment)
        known = read(self._journal)
        if name is None:
            there = [one for one in known.values() if options.environment in (None, one.environment)]
            newest = there[-1] if there else None
            is_meant = newest is not None and (options.letter or flow.is_untold(newest, self._config))
            name = newest.id if newest is not None and is_meant else None
        if name is None:
            where = f" on {options.environment}" if options.environment else ""
            raise UsageError(f"No incident is open{where}: there is nothing to tell.", next="backout panic")
        return known[name]

    def _composed(self, incident: Incident) -> list[Draft]:
        """Write the words; at a terminal what is missing is asked, once, and each answer is kept before the next."""
        wish, now = self._wish(), time.time()
        words = drafts(incident, self._config, wish, now)
        if not self._can_ask:
            return words
        before, given = answered(incident, words), dict(wish.fields)
        for field in dict.fromkeys(field for word in words for field in word.missing):
            if question := _QUESTIONS[field][1]:
                shown = f"{question} [{before[field]}]" if field in before else question
                given[field] = _asked(self._screen.visible(shown)) or before.get(field) or _DEFAULTS.get(field, "")
                words = drafts(incident, self._config, wish._replace(fields=given), now)
                for word in (word for word in words if word.fields.get(field)):
                    keep_draft(self._journal, str(who()), incident.id, word, bootstrap.new_change_id)
        return words

    def _wish(self) -> Wish:
        """Tell audiences from text: the first words that are names of audiences are, and after -- none is."""
        options, words = self._options, list(self._options.words)
        keys = [audience.key for audience in self._config.audiences]
        named: list[str] = []
        while words and words[0] in keys:
            named.append(words.pop(0))
        meant = did_you_mean(words[0], keys) if words and " " not in words[0] else ""
        if meant.startswith("Did"):
            raise UsageError(
                f"{words[0]!r} is no audience.",
                state="Nothing was sent.",
                next=f"{meant} Where it is text: backout tell -- {words[0]} …",
            )
        fields = {name: value for name in FIELDS if (value := getattr(options, name)) is not None}
        return Wish(
            tuple(named), " ".join([*words, *options.command]), fields, options.status, options.next, options.letter
        )

    def _require_wanted(self, document: dict[str, Any]) -> None:
        """Show what would be sent, and go on with a yes alone; without a terminal --yes is needed."""
        if self._options.yes:
            return
        self._show(document)
        count = sum(len(row["deliveries"]) for row in document["notices"])
        if self._can_ask:
            if _asked(f"Send {'it' if count == 1 else f'these {count}'}? [y/N]").lower() in ("y", "yes"):
                return
            raise RefusedError("Nothing was sent.", state="Nobody was told.", next="backout tell")
        error = RefusedError(
            "Nobody is there to be asked, so nothing was sent.", state="Nobody was told.", next="backout tell --yes"
        )
        error.shown = self._options.json
        raise error

    @property
    def _can_ask(self) -> bool:
        told = self._options.json or self._options.yes or self._options.dry_run
        return not told and sys.stdin.isatty() and sys.stderr.isatty()

    def _show(self, document: dict[str, Any]) -> None:
        if self._options.json:
            put_json(document)
            return
        from backout.render.tell import preview  # only where something is drawn

        put(preview(document, self._screen))

    def _heard(self, one: Delivery) -> None:
        """Show a result as it comes: a server may take its time, and who waits wants to know for whom."""
        if not (self._options.json or self._options.quiet):
            sys.stderr.write(self._screen.visible(f"{one.target}: {one.state}") + "\n")

    def _end(self, document: dict[str, Any]) -> int:
        code = flow.exit_code(document)
        if self._options.json:
            put_json(document)
        elif not self._options.quiet or code:
            from backout.render.tell import outcome

            put(outcome(document, self._screen))
        return code


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Say what Ctrl-C leaves: of what was under way nobody knows, and that is on record."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedError(
            "Interrupted.",
            state="What was sent is sent; a new notice goes nowhere else by itself.",
            next="backout tell --retry shows where each delivery stands.",
        ) from None


def _asked(question: str) -> str:
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise InterruptedError(
            "Interrupted.", state="Nothing was sent; what you answered is kept.", next="backout tell goes on."
        ) from None
    if not line:  # Ctrl-D
        sys.stderr.write("\n")
    return line.strip()


def _require_whole(incident: str, words: Sequence[Draft]) -> None:
    """Refuse a notice that lacks what its reader needs; it names each field, and the option that gives it."""
    lacking = {field: word for word in words for field in word.missing}
    if lacking:
        options = [
            f" {_QUESTIONS[field][0]} {'TIME' if field == 'since' else 'TEXT'}"
            for field in lacking
            if field != "how_long"
        ]
        which = ", ".join(dict.fromkeys(f"{field} in the {word.type} word" for field, word in lacking.items()))
        from backout.render.letter import set_clocks

        command = "backout calm" if words[0].type == LETTER else "backout tell"
        clocks = f"{set_clocks(incident)}; " if "how_long" in lacking else ""
        raise RefusedError(
            f"The notice lacks {which}.", state="Nothing was sent.", next=f"{clocks}{command}{''.join(options)}"
        )

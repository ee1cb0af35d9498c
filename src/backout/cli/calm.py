"""`backout calm`: ask the checks, say that it is over, and show what is still to be done and said."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from backout import bootstrap
from backout.cli.commands import _fleet
from backout.cli.person import who
from backout.cli.reminding import remind
from backout.cli.screens import put, put_json, screen
from backout.config.find import load
from backout.config.values import Environment
from backout.errors import InterruptedError, UsageError
from backout.flow.calm import FIELDS, Asked, Calm, Closing, meant
from backout.flow.incidents import current
from backout.model.incident import OPEN
from backout.render.letter import next_working_day

_QUESTIONS = {
    "why": "Why did it happen?",
    "done": "What was done?",
    "lost": "Which data were lost (none)?",
}
_DEFAULTS = {"lost": "none"}


def calm(options: Namespace) -> int:
    """`backout calm`."""
    config, today = load(options.config), datetime.now().astimezone().date()
    if options.review is not None and options.review < today:
        raise UsageError(f"--review {options.review} is over.", next="Name a day that is to come.")
    if options.word is not None and not options.word.strip():
        raise UsageError("--word says why it is over; it is empty.", next='backout calm --word "why you say so"')
    with contextlib.closing(bootstrap.journal()) as journal:
        if options.environment is not None and current(journal, environment=options.environment) is None:
            config.environment(options.environment)  # panic opens one on any name; else a misspelt one is told
        name = meant(journal, options.incident, options.environment)
        one = Calm(journal, config, str(who()), name, bootstrap.new_change_id)
        closing = Closing(options.word or "", options.review, _given(options))
        asked = Asked()
        if one.told.state == OPEN:
            asked = _asked(options, one, one.environment)
            one.resolve(asked, closing.word)
        drafts = one.write(closing, lambda: next_working_day(today))
        for answer in _answers(options, name, drafts):
            drafts = one.write(Closing(fields=answer), lambda: next_working_day(today))
        document = one.document(asked, drafts)
        if options.json:
            put_json(document, "drafts")
        else:
            from backout.render.calm import calm as drawn  # only where it is drawn

            put(drawn(document, screen(options)))
        remind(journal, config, silent=options.json or options.quiet)
    return 0


def _given(options: Namespace) -> dict[str, str]:
    return {name: value for name in FIELDS if (value := getattr(options, name)) is not None}


def _asked(options: Namespace, one: Calm, environment: Environment | None) -> Asked:
    """Ask the hosts; where no check is configured, nobody is asked."""
    if environment is None or not environment.checks:
        return Asked()
    with _fleet(options, environment) as (fleet, console):
        console.step(f"checking {environment.name}")
        return one.ask(fleet)


def _answers(options: Namespace, incident: str, drafts: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Ask at a terminal for what the drafts lack, each once; an answer may be left out. Each is given as it comes."""
    if options.json or options.quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    lacking = {field for row in drafts for field in row["missing"]}
    for field in (field for field in _QUESTIONS if field in lacking):
        sys.stderr.write(f"{_QUESTIONS[field]} ")
        sys.stderr.flush()
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            raise InterruptedError(
                "Interrupted.",
                state=f"Incident {incident} is resolved; what you answered is kept, and nothing was sent.",
                next="backout calm asks for the rest.",
            ) from None
        if not line:  # Ctrl-D: nobody answers any more
            sys.stderr.write("\n")
            return
        if answer := line.strip() or _DEFAULTS.get(field, ""):
            yield {field: answer}

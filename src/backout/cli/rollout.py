"""`backout rehearse` and `backout run` on an environment with several hosts."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from typing import Any

from backout import bootstrap
from backout.cli.commands import _fleet, _held_against, _wanted
from backout.cli.person import who
from backout.cli.screens import Console, applying, put, put_json, screen, there
from backout.config.values import Command, Config, Environment
from backout.errors import BackoutError, InterruptedError, NotPossibleError
from backout.flow import rollout
from backout.render.progress import Crowd

_ALONE = ("interactive", "twice", "change")


def rehearse(options: Namespace, environment: Environment, named: Command | None, config: Config) -> int:
    """`backout rehearse` on several hosts."""
    return _led(options, environment, named, config, rollout.rehearse)


def run(options: Namespace, environment: Environment, named: Command | None, config: Config) -> int:
    """`backout run` on several hosts; with --resume it goes on with a rollout."""
    if options.resume is None:
        return _led(options, environment, named, config, rollout.run)
    return _led(
        options,
        environment,
        named,
        config,
        lambda fleet, asked, desk: rollout.resume(fleet, asked, desk, options.resume),
    )


def _led(options: Namespace, environment: Environment, named: Command | None, config: Config, act: Any) -> int:
    for name in _ALONE:
        if getattr(options, name, None):
            raise NotPossibleError(f"--{name} works on one host at a time.", next="Leave it out.")
    rollout.require_known(environment, options.odd)
    twin, guarding = _held_against(options, config, environment)
    with _fleet(options, environment) as (fleet, console), contextlib.closing(bootstrap.journal()) as journal:
        away = Namespace(**{**vars(options), "begun": None})  # commands that are proposed mean the environment
        view = Several(away, console)
        wanted = _wanted(away, environment, named)
        asked = rollout.Asked(environment, wanted, frozenset(options.odd))
        desk = rollout.Desk(who(), journal, view, bootstrap.new_change_id, twin, guarding)
        try:
            _, code = act(fleet, asked, desk)
        except KeyboardInterrupt:
            raise InterruptedError("Interrupted.", state="Every host is as it was before.") from None
        except BackoutError as error:
            error.next, error.shown = there(error.next, away), view.shown and options.json
            raise
    return int(code)


class Several:
    """Tells a person how far several hosts are, shows what came of it, and asks."""

    def __init__(self, options: Namespace, console: Console) -> None:
        """Use the console's terminal, for all hosts in one line."""
        self._options, self._console = options, console
        self._crowd = Crowd(console.step, screen(options, sys.stderr))
        self._asked = False
        self.shown = False
        """Whether what came of it was given."""

    def step(self, text: str) -> None:
        """Say what begins now for all of them."""
        self._crowd.begin(text)

    def at(self, host: str, text: str) -> None:
        """Say what a host is at; from any thread."""
        self._crowd.at(host, text)

    def ask(self, question: str, about: dict[str, Any]) -> bool | None:
        """Show what a question is about and ask; None when nobody is there to answer."""
        if not self._console.can_ask:
            return None
        self._console.done()
        self._rehearsals(about)
        self._asked = True
        answer = self._console.ask(question)
        self._console.begin_again()
        return answer

    def show(self, document: dict[str, Any]) -> None:
        """Give what came of it: with --json the document, else what was not shown yet."""
        self._console.done()
        self.shown = True
        self._name_environment(document)
        if self._options.json:
            put_json(document, "groups")
            return
        if not self._asked:
            self._rehearsals(document)
        if document["rollout"] is not None:
            from backout.render.rollout import outcome

            put(("" if self._asked else "\n") + outcome(document, screen(self._options)))

    def _rehearsals(self, document: dict[str, Any]) -> None:
        from backout.render.report import Wish
        from backout.render.rollout import rehearsals

        wish = Wish(self._options.full, self._options.noise, next_command=self._next(document))
        put(rehearsals(document, screen(self._options), wish))

    def _next(self, document: dict[str, Any]) -> str:
        """Offer the same command line with `run` after a rehearsal that `run` would let through."""
        if self._options.verb != "rehearse" or document["exit_code"]:
            return ""
        return applying(sys.argv[1:], screen(self._options))

    def _name_environment(self, document: dict[str, Any]) -> None:
        rows = [*document["failed"], *(document["rollout"] or {"hosts": []})["hosts"]]
        for row in rows + [reason for group in document["groups"] for reason in group["verdict"]["reasons"]]:
            row["next"] = there(row["next"], self._options)

"""`backout compare` and `backout drift`: looks at environments, and what they tell."""

from __future__ import annotations

import contextlib
import datetime as dt
from argparse import Namespace
from contextlib import ExitStack
from typing import Any

from backout import bootstrap
from backout.cli.commands import _fleet
from backout.cli.person import who
from backout.cli.screens import put, put_json, screen
from backout.config.find import load
from backout.config.values import Environment
from backout.errors import BackoutError, UsageError
from backout.flow import sides
from backout.flow.compare import Since, acceptance
from backout.flow.compare import compare as compare_looks
from backout.flow.drift import drift as tell_drift
from backout.flow.fleet import Fleet
from backout.flow.look import look
from backout.flow.looked import Look
from backout.flow.since import teller


def compare(options: Namespace) -> int:
    """`backout compare`."""
    config = load(options.config)
    names = (options.here, options.there)
    here, there = (config.environment(name) for name in names)
    if here is there:
        raise UsageError(f"{here.name} is the same environment as itself.", next="Name two environments.")
    accept = None
    if options.accept:
        accept = acceptance(str(who()), options.why, options.until, dt.datetime.now(dt.UTC).date())
    elif options.why or options.until:
        raise UsageError("--why and --until belong to --accept.", next="backout compare --help")
    with contextlib.closing(bootstrap.journal()) as journal, ExitStack() as stack:
        fleets = {} if options.stored else {side.name: _reached(stack, options, side) for side in (here, there)}
        known = [sides.side(journal, side, _taken(fleets.get(side.name))) for side in (here, there)]
        since: Since | None = teller(journal, known, fleets) if options.since else None
        document, code = compare_looks(journal, known[0], known[1], accept, since)
    _answer(options, document)
    return code


def _reached(stack: ExitStack, options: Namespace, environment: Environment) -> Fleet:
    fleet, console = stack.enter_context(_fleet(options, environment))
    console.step(f"looking at {environment.name}")
    return fleet


def _taken(fleet: Fleet | None) -> dict[str, Look | BackoutError] | None:
    """Look at every host that was reached; of the others give why not."""
    if fleet is None:
        return None
    return {host: seen if isinstance(seen, BackoutError) else seen.look for host, seen in look(fleet).items()}


def drift(options: Namespace) -> int:
    """`backout drift`."""
    if options.adopt != bool(options.why):
        raise UsageError(
            "Drift is adopted for a reason: --adopt needs --why TEXT, and --why belongs to it.",
            next="backout drift --help",
        )
    environment = load(options.config).environment(options.here)
    with ExitStack() as stack:
        fleet = _reached(stack, options, environment)
        document, code = tell_drift(fleet, environment.name, options.why if options.adopt else None)
    _answer(options, document)
    return code


def _answer(options: Namespace, document: dict[str, Any]) -> None:
    if options.json:
        put_json(document)
        return
    from backout.render import parity

    put(getattr(parity, document["schema"].split(".")[1].split("/")[0])(document, screen(options), full=options.full))

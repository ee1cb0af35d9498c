"""`backout split`: host halves enough for several trials at once, then the answer in words or as a document."""

from __future__ import annotations

import os
from argparse import Namespace
from functools import partial

from backout import bootstrap
from backout.cli.commands import _environment, _host, _require_linux, _session, _wanted
from backout.cli.screens import put, put_json, screen, there
from backout.config.find import load
from backout.config.values import LOCAL
from backout.errors import UsageError
from backout.flow.split import Asked, split_command
from backout.flow.split import split as split_change
from backout.flow.trials import Open

_AT_ONCE = 4
"""So many trials at the same time at most, where --jobs does not say otherwise."""


def split(options: Namespace) -> int:
    """`backout split`."""
    if bool(options.command) == (options.change is not None):
        raise UsageError("Give one of: a recorded change, or a command after --.", next="backout split --help")
    environment = _environment(options, load(options.config))
    host, become = _host(options, environment)
    halves = _halves(host, become, options.jobs or min(os.cpu_count() or 1, _AT_ONCE))
    asked = Asked(tuple(options.check), options.timeout)
    with _session(options, environment) as (session, console):
        if options.command:
            document, code = split_command(session, _wanted(options, environment, None), asked, halves)
        else:
            document, code = split_change(session, options.change, asked, halves)
        console.done()
    if options.json:
        put_json(document)
        return code
    from backout.render.split import split as drawn

    put(drawn(document, screen(options), there(_next(document), options)))
    return code


def _halves(host: str, become: str | None, count: int) -> list[Open]:
    """Give ways to so many host halves; those of this machine are forked off now, before there are threads."""
    if host != LOCAL:
        return [partial(bootstrap.link_to, host, become, lambda *_: None, None)] * count
    _require_linux()
    begun = [bootstrap.begin() for _ in range(count)]
    return [partial(bootstrap.link_to, host, become, lambda *_: None, child) for child in begun]


def _next(document: dict[str, object]) -> str:
    """Name the command that goes on from here."""
    rest = document["rest"]
    if isinstance(rest, dict):
        return f"backout run --change {rest['change']}"
    if document["flaky"]:
        return f"backout split {document['change']} --check NAME"
    return ""

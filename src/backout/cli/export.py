"""`backout export`: an incident as a page, a picture, a document, a public text or a script."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from typing import Any

from backout import bootstrap
from backout.cli.screens import put, put_bytes, put_json, screen
from backout.config.find import load
from backout.config.values import Config
from backout.errors import BackoutError, FailedError, RefusedError, UsageError
from backout.flow import export as flow

Document = Mapping[str, Any]


def export(options: Namespace) -> int:
    """`backout export`."""
    form = options.form or ("json" if options.json else "md")
    if options.json and form != "json":
        raise UsageError("--json is the document itself; another form is given by --as alone.", next="backout export")
    if options.output is not None and os.path.lexists(options.output) and not options.force:
        raise RefusedError(
            f"{options.output} is there already.",
            state="Nothing was written.",
            next="Name another file, or add --force to replace it.",
        )
    with contextlib.closing(bootstrap.journal()) as journal:
        if options.list:
            _list(options, flow.listed(journal))
            return 0
        incident = flow.newest(journal, options.incident)
        document = flow.document(journal, incident, _config(options), time.time())
    _write(options, form, _FORMS[form](document, UTC if options.utc else None))
    return 0


def timeline(options: Namespace) -> int:
    """`backout show INCIDENT`."""
    with contextlib.closing(bootstrap.journal()) as journal:
        document = flow.document(journal, flow.newest(journal, options.change), _config(options), time.time())
    if options.json:
        put_json(document, "entries")
        return 0
    from backout.render.incident_story import story
    from backout.render.incident_text import timeline as drawn

    put(drawn(story(document), screen(options)))
    return 0


def _config(options: Namespace) -> Config:
    """Read who is told; an incident can be read without a configuration, and with one that is broken."""
    try:
        return load(options.config)
    except BackoutError as error:
        if options.config:
            raise
        sys.stderr.write(f"{error.what} Audiences are left out.\n")
        return Config()


def _list(options: Namespace, document: dict[str, Any]) -> None:
    if options.json:
        put_json(document)
        return
    from backout.render.incidents import incidents  # only where it is drawn

    put(incidents(document, screen(options), UTC if options.utc else None))


def _markdown(document: Document, zone: tzinfo | None) -> str:
    from backout.render.incident_markdown import markdown
    from backout.render.incident_story import story

    return markdown(story(document, zone))


def _html(document: Document, zone: tzinfo | None) -> str:
    from backout.render.incident_html import page
    from backout.render.incident_story import story
    from backout.render.timeline import picture

    return page(story(document, zone), picture(document, zone))


def _json(document: Document, _: tzinfo | None) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _svg(document: Document, zone: tzinfo | None) -> str:
    from backout.render.timeline import picture

    return picture(document, zone)


def _public(document: Document, zone: tzinfo | None) -> str:
    from backout.render.incident_public import public

    return public(document, zone)


def _script(document: Document, zone: tzinfo | None) -> str:
    from backout.render.incident_script import script

    return script(document, os.uname().nodename, zone)


_FORMS: dict[str, Callable[[Document, tzinfo | None], str]] = {
    "md": _markdown,
    "html": _html,
    "json": _json,
    "svg": _svg,
    "public": _public,
    "script": _script,
}


def _write(options: Namespace, form: str, text: str) -> None:
    """Write to the file, whole or not at all, else to stdout. What an incident holds is its owner's alone to read."""
    data = text.encode("utf-8", "backslashreplace")
    if options.output is None:
        put_bytes(sys.stdout, [data])
        return
    mode = 0o700 if form == "script" else 0o644 if form == "public" else 0o600
    part = f"{options.output}.{os.getpid()}.part"
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        if options.force:
            os.replace(part, options.output)
        else:
            os.link(part, options.output)  # another one that came meanwhile is not written over
            os.unlink(part)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise FailedError(
            f"{options.output} could not be written: {error.strerror}.",
            state="The incident is as it was.",
            next="Name another file with -o.",
        ) from error
    if not options.quiet:
        sys.stderr.write(f"{screen(options).visible(options.output)} is written.\n")

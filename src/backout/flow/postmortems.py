"""`backout import`: postmortems that were written elsewhere become part of what is searched, each stored once.

An incident that was exported as JSON is taken in as one: see `handover`.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from backout.config.front import read
from backout.errors import BackoutError, UsageError
from backout.flow import handover
from backout.flow.instant import instant
from backout.flow.search import POSTMORTEM
from backout.model import shape
from backout.model.digest import canonical
from backout.model.redact import redact, redact_json
from backout.store.folders import title_of
from backout.store.journal import Journal

DONE, WRONG = 0, 2
_LARGEST_BYTES = 4 * 1024 * 1024
_SAME = ("title", "date", "text", "front")


def take_in(
    journal: Journal, who: str, files: Iterable[str], now: float | None = None
) -> tuple[dict[str, Any], list[BackoutError]]:
    """Take in each file that can be read; give the `backout.imported/1` document, and why the others were not.

    Of a file that is wrong nothing is taken in; what was taken in before, by its content, is not stored again.
    """
    known = {_key(event.body): event.seq for event in journal.events(type=POSTMORTEM)}
    rows: list[dict[str, Any]] = []
    errors: list[BackoutError] = []
    for file in files:
        row: dict[str, Any] = {"source": file, "title": None, "entry": None, "new": False, "error": None}
        try:
            text = _text(file)
            if text.lstrip().startswith("{"):
                row |= _incident(journal, text, file)
            else:
                row |= _postmortem(journal, who, known, _read(text, file, time.time() if now is None else now))
        except BackoutError as error:
            errors.append(error)
            row["error"] = error.document()
        rows.append(row)
    return {"schema": "backout.imported/1", "files": rows, "exit_code": WRONG if errors else DONE}, errors


def _incident(journal: Journal, text: str, file: str) -> dict[str, Any]:
    try:
        told = shape.load(text)
    except ValueError:
        told = None
    taken = handover.take_in(journal, told, file)
    return {"title": taken.title, "incident": taken.incident, "lines": taken.lines, "new": taken.lines > 0}


def _postmortem(
    journal: Journal, who: str, known: dict[bytes, int], read: tuple[dict[str, Any], float]
) -> dict[str, Any]:
    body, at = read
    key = _key(body)
    new = key not in known
    if new:
        known[key] = journal.append(at=at, actor=who, type=POSTMORTEM, body=body).seq
    return {"title": body["title"], "entry": known[key], "new": new}


def _key(body: Mapping[str, Any]) -> bytes:
    return canonical({name: body.get(name) for name in _SAME})


def _read(text: str, file: str, now: float) -> tuple[dict[str, Any], float]:
    """Read one file's text; gives the body of its event, without secrets, and when it happened."""
    front, rest = read(text, file)
    front = {key: redact_json(value) for key, value in front.items()}
    at = _date(front, text, file)
    title = front.get("title") or title_of(rest) or os.path.basename(file)
    if not isinstance(title, str):
        raise _wrong(f"{file}:{_line(text, 'title')}: the title is no text.")
    if not rest.strip():
        raise _wrong(f"{file}: there is no text.")
    date = instant(at) if at is not None else None
    body = {"title": redact(title), "date": date, "text": redact(rest), "source": os.path.abspath(file), "front": front}
    return body, now if at is None else at


def _text(file: str) -> str:
    try:
        with open(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise _wrong(f"{file} is no file.")
            data = opened.read(_LARGEST_BYTES + 1)
            if data.lstrip().startswith(b"{"):  # an incident, with all that its commands wrote
                data += opened.read()
    except OSError as error:
        raise _wrong(f"{file} cannot be read: {error.strerror}.") from None
    if len(data) > _LARGEST_BYTES and not data.lstrip().startswith(b"{"):
        raise _wrong(f"{file} is larger than {_LARGEST_BYTES // 1024 // 1024} MiB.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise _wrong(f"{file}:{line}: this is not UTF-8 text (byte {error.start}).") from None


def _date(front: Mapping[str, Any], text: str, file: str) -> float | None:
    """Read when it was: a date, or a date and a time; without a zone it is UTC."""
    if (said := front.get("date")) is None:
        return None
    try:
        when = datetime.fromisoformat(str(said))
    except ValueError:
        raise _wrong(
            f"{file}:{_line(text, 'date')}: date is {str(said)[:40]!r}, and not a day such as 2026-11-23,"
            " with or without a time."
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _line(text: str, key: str) -> int:
    found = re.search(rf"(?m)^\s*{key}\s*[:=]", text)
    return 1 + text.count("\n", 0, found.start()) if found else 1


def _wrong(what: str) -> UsageError:
    return UsageError(what, state="Nothing of that file was taken in.", next="Mend it, then import it again.")

"""`backout note`: read leniently, kept first. It must feel instant: nothing is imported that it can do without."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backout import bootstrap
from backout.cli.lenient import Heard, flag, listen, number, one
from backout.cli.person import person
from backout.errors import BackoutError, UsageError
from backout.flow import note as flow
from backout.flow.instant import instant
from backout.store.aside import NUMBERED_FROM

if TYPE_CHECKING:
    from backout.flow.incidents import Standing
    from backout.render.moment import Moment
    from backout.store.journal import Event, Journal

_MOST_CHARACTERS = 1 << 20
_MOST_WORDS = 4
"""A time has so many words at most: `2026-11-28 14:03 + zone`, `1 h 30 m ago` is written with fewer."""
_SOON_S = 60
_SHORT = {"-e": "--environment", "-q": "--quiet", "-h": "--help"}


def note(words: Sequence[str]) -> int:
    """Run `backout note` with these words; gives the exit code."""
    doubts: list[str] = []
    heard = _heard(words, doubts)
    if "--help" in heard.options:
        from backout.cli.parser import parse

        parse(["note", "--help"])
    text = " ".join(heard.text).strip()
    complaints = [*doubts, *heard.complaints]
    acts = ("--pin", "--unpin", "--clock", "--severity")
    if not text and not any(act in heard.options for act in acts) and not sys.stdin.isatty():
        text = _read(complaints)
    wish = _wish(heard.options, text)
    if not text and not any(act in heard.options for act in acts):
        raise UsageError("There is nothing to note.", next="backout note TEXT")
    return _keep(wish, heard.options, complaints)


def _heard(words: Sequence[str], doubts: list[str]) -> Heard:
    now = time.time()

    def at(words: Sequence[str]) -> tuple[float, int]:
        found, count = _time(words, now)
        if found.doubt:
            doubts.append(found.doubt)
        if found.at > now + _SOON_S:
            doubts.append(f"{' '.join(words[:count])} is still to come.")
        return found.at, count

    def clock(words: Sequence[str]) -> tuple[tuple[str, float], int]:
        given, _ = one(words)
        name, equals, when = given.partition("=")
        value, count = at([when, *words[1:]]) if equals else (now, 1)
        return (flow.clock_named(name), value), count

    def severity(words: Sequence[str]) -> tuple[int, int]:
        if not words or words[0] not in ("1", "2", "3"):
            raise ValueError("1, 2 or 3")
        return int(words[0]), 1

    known = {
        **dict.fromkeys(("--environment", "--incident", "--config"), one),
        **dict.fromkeys(("--of", "--correct", "--pin", "--unpin"), number),
        **dict.fromkeys(("--json", "--quiet", "--no-color", "--help"), flag),
        "--at": at,
        "--clock": clock,
        "--severity": severity,
    }
    return listen(words, known, _SHORT)


def _time(words: Sequence[str], now: float) -> tuple[Moment, int]:
    """Read a time from as many words as it has: nobody thinks of quotes then."""
    from backout.render.moment import moment

    for count in range(min(_MOST_WORDS, len(words)), 0, -1):
        try:
            return moment(" ".join(words[:count]), now), count
        except (ValueError, OSError):
            continue
    raise ValueError('a time such as 14:03, "10m ago" or "2026-11-28 14:03"')


def _read(complaints: list[str]) -> str:
    """Read what is piped in."""
    data = sys.stdin.buffer.read(_MOST_CHARACTERS + 1)
    if len(data) > _MOST_CHARACTERS:
        complaints.append(f"Of what was piped in, the first {_MOST_CHARACTERS} bytes are kept.")
    return data[:_MOST_CHARACTERS].decode("utf-8", "surrogateescape").strip()


def _wish(options: Any, text: str) -> flow.Wish:
    pins = {options[name]: name == "--pin" for name in ("--pin", "--unpin") if name in options}
    named = {name: options.get(f"--{name}") for name in ("at", "environment", "incident", "of", "correct", "severity")}
    return flow.Wish(text=text, pins=pins, clock=options.get("--clock"), **named)


def _keep(wish: flow.Wish, options: Any, complaints: list[str]) -> int:
    journal = bootstrap.keeping_journal()
    noted = flow.note(journal, person(), wish, lambda name: _is_known(name, options.get("--config"), complaints))
    complaints += noted.complaints
    if "--config" in options and wish.environment is None:
        _is_known("", options["--config"], complaints)
    complaints += journal.complaints
    with suppress(OSError):  # it is kept, whoever reads of it
        _tell(noted, wish.at, options, complaints)
    if noted.standing is not None:
        _remind(journal, options)
    return 0


def _remind(journal: Journal, options: Any) -> None:
    """End with what is owed to whom; a configuration that cannot be read is told of where it matters."""
    from backout.config.find import load, mentions

    with suppress(BackoutError, OSError):
        if mentions("audiences", options.get("--config")):
            from backout.cli.reminding import remind

            silent = "--json" in options or "--quiet" in options
            remind(journal, load(options.get("--config")), silent=silent, promises=False)


def _tell(noted: flow.Noted, at: float | None, options: Any, complaints: list[str]) -> None:
    """Say what was noted, then what there is to say about it."""
    if "--json" in options:
        import json

        sys.stdout.write(json.dumps(_document(noted, complaints)) + "\n")
    elif "--quiet" not in options:
        sys.stdout.write(_line(noted, at) + "\n")
    sys.stdout.flush()
    for complaint in [] if "--json" in options else complaints:
        sys.stderr.buffer.write(f"backout note: {complaint}\n".encode("utf-8", "backslashreplace"))


def _is_known(environment: str, config: str | None, complaints: list[str]) -> bool:
    """Tell whether the configuration has an environment; one that cannot be read is as good as none, and is told."""
    from backout.config.find import load

    try:
        return environment in [known.name for known in load(config).environments]
    except (BackoutError, OSError) as error:
        complaints.append(error.what if isinstance(error, BackoutError) else f"{config}: {error.strerror}.")
        return False


def _line(noted: flow.Noted, at: float | None) -> str:
    numbers = " ".join(str(event.seq) if event.seq < NUMBERED_FROM else "aside" for event in noted.events)
    where = noted.standing
    told = f"{where.id} {where.environment}, {minutes(where)} min" if where else "by itself: no incident is open"
    if at is None:
        return f"{numbers}  {told}"
    from backout.render.moment import clock_text

    return f"{numbers}  {told}, at {clock_text(at, time.time())}"


def minutes(where: Standing) -> int:
    """Give what the clock of an incident shows: whole minutes since it was declared."""
    return max(0, int((time.time() - where.declared_at) // 60))


def _document(noted: flow.Noted, complaints: list[str]) -> dict[str, Any]:
    where = noted.standing
    return {
        "schema": "backout.note/1",
        "incident": where and where.id,
        "environment": where and where.environment,
        "minutes": where and minutes(where),
        "entries": [_entry(event) for event in noted.events],
        "complaints": complaints,
    }


def _entry(event: Event) -> dict[str, Any]:
    return {
        "number": event.seq if event.seq < NUMBERED_FROM else None,
        "at": instant(event.at),
        "kind": event.body.get("kind", event.type),
        "text": event.body.get("text", ""),
    }

"""What is told of a review after it was saved or closed: where it stands, and what is still to be done, by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any

from backout.render.screen import Screen


def reviewed(document: Mapping[str, Any], screen: Screen) -> str:
    """Draw a `backout.review/1` document."""
    if document["saved"] is None:
        return screen.visible(f"The review of {document['incident']} is not written yet.") + "\n"
    rows = [
        _standing(document),
        *_came_of(document),
        *_listed("Wrong", document["problems"]),
        *_listed("Still to be said", document["lacking"]),
        *_findings(document["findings"]),
        *_actions(document["actions"]),
        *_next(document),
        *_letters(document),
    ]
    return "\n".join(line for row in rows for line in _wrapped(screen.visible(row), screen)) + "\n"


def _wrapped(row: str, screen: Screen) -> list[str]:
    """Wrap a row below itself; a command at its end stays in one piece."""
    if ": backout " in row:
        return [row]
    indent = " " * (len(row) - len(row.lstrip()))
    return wrap(
        row,
        max(screen.width, 40),
        initial_indent="",
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _standing(document: Mapping[str, Any]) -> str:
    saved = document["saved"]
    counts = f"{_number(document['paths'], 'path')}, {_number(document['actions'], 'action')}"
    return f"The review of {document['incident']} is {document['state']}, saved as #{saved['seq']}: {counts}."


def _number(rows: list[Any], noun: str) -> str:
    return f"{len(rows)} {noun}" if len(rows) == 1 else f"{len(rows)} {noun}s"


def _came_of(document: Mapping[str, Any]) -> Iterable[str]:
    other = document["merged_with"]
    if other is not None:
        yield f"It was put together with what {other['actor']} saved meanwhile as #{other['seq']}."
    if document["masked"]:
        lines = f"{document['masked']} lines" if document["masked"] > 1 else "1 line"
        yield f"What looks like a secret was masked in {lines} before it was saved."


def _listed(title: str, rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    told = [f"  line {row['line']}: {row['what']}" for row in rows]
    return [f"{title}:", *told] if told else []


def _findings(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Tell of wordings; of what starts at one place the longest."""
    longest: dict[tuple[int, int], Mapping[str, Any]] = {}
    for row in rows:
        place = row["line"], row["column"]
        longest[place] = max(longest.get(place, row), row, key=lambda one: len(one["words"]))
    told = [
        f"  line {row['line']}: {row['words']!r} {_SORTS[row['sort']]}: {row['better']}" for row in longest.values()
    ]
    return ["Wording:", *told] if told else []


_SORTS = {
    "weak": "asks for attention, or ends nowhere",
    "counterfactual": "tells what did not happen",
    "name": "names somebody as a cause",
}


def _actions(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows:
        proof = row["proof"]
        by = f" ({proof['sort']} {proof['name']})" if proof else ""
        until = f" until {proof['until']}" if proof and proof["until"] else ""
        yield f"{row['key']} {row['title']}: {_STANDS[row['stands_on']]}{by}{until}"


_STANDS = {
    "proven": "proven",
    "not proven": "not proven yet",
    "accepted": "the risk is accepted",
    "handed": "handed over",
    "over": "its day is over",
    "nothing": "stands on nothing yet",
}


def _next(document: Mapping[str, Any]) -> Iterable[str]:
    counts = Counter(row["stands_on"] for row in document["actions"])
    if document["state"] == "closed":
        return
    if counts["nothing"]:
        yield f"What would refuse the change that led to it: backout review guard --incident {document['incident']}"
    if counts["not proven"]:
        yield f"To prove them: backout review prove --incident {document['incident']}"
    elif document["state"] == "in review" and not document["lacking"] and not counts["nothing"] + counts["over"]:
        yield f"To close it: backout review close --incident {document['incident']}"


def _letters(document: Mapping[str, Any]) -> Iterable[str]:
    """Show what those are to be told who had a letter, and what sends it."""
    waiting = [row for row in document.get("drafts", ()) if not row["sent"]]
    for row in waiting:
        again = row["plain"].rpartition("Can it happen again: ")[2].strip()
        yield f"A letter to {row['audience']} is drafted. Can it happen again: {again}"
        if row["missing"]:
            yield f"It lacks: {', '.join(row['missing'])}"
    if waiting:
        yield f"To send: backout tell --incident {document['incident']} --letter"

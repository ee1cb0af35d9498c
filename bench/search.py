"""Does the search find the earlier ticket of a known problem, and how long does it take over 200,000 entries?

The tickets are no part of the project: Apache Hadoop's, from the data set GitBugs (github.com/av9ash/gitbugs, CC BY
4.0). BACKOUT_BENCH_TICKETS names a folder with its `hadoop_bugs.csv` as tickets.csv and `hadoop_bugs-combined.csv` as
duplicates.csv.
"""

from __future__ import annotations

import csv
import os
import random
import re
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from backout.store.sqlite import SqliteJournal
from bench.contest import Place

ENTRIES = 200_000
_ASKED = 300
_DEEPEST = 100
"""So far down the list the ticket is looked for; MRR takes one that is not there for none."""
_RESAMPLED = 10_000
_WORD = re.compile(r"[^\W_]+")
_NOTE = (
    "Apache Hadoop's tickets (GitBugs, github.com/av9ash/gitbugs, CC BY 4.0). Each question is the later ticket of a "
    "known pair of duplicates, summary and description; what is searched are all earlier tickets, each as an imported "
    "postmortem in a journal. Plain BM25 is FTS5's own over the full text, any of the question's words. The bounds are "
    f"those of 95 % of {_RESAMPLED:,} paired bootstrap samples. Nothing was tuned on these pairs: weights are the "
    "literature's (k1 1.2, b 0.75, title twice), and what remained (stems, parts of names, pairs of words, how many words) was "
    "tried on the 46 pairs of duplicates of SeaMonkey in the same data set, and on 250 Hadoop tickets that are in no "
    "pair: every other line was the question, the title and the other lines what is to be found."
)


class Ticket(NamedTuple):
    """A ticket of a tracker."""

    number: int
    created: datetime
    title: str
    text: str


class Asked(NamedTuple):
    """A question, the ticket to be found, and how many tickets were there before."""

    text: str
    earlier: int
    answer: int


Search = Callable[[Ticket | str], list[int] | None]


def tickets(folder: Path) -> tuple[list[Ticket], list[Asked]]:
    """Read the tickets, oldest first, and the questions of the protocol, in the order in which they came up."""
    csv.field_size_limit(sys.maxsize)
    with open(folder / "tickets.csv", encoding="utf-8", newline="") as file:
        rows = [
            Ticket(int(row["Issue id"]), _day(row["Created"]), row["Summary"], row["Description"])
            for row in csv.DictReader(file)
        ]
    rows.sort(key=lambda ticket: (ticket.created, ticket.number))
    places = {ticket.number: at for at, ticket in enumerate(rows)}
    with open(folder / "duplicates.csv", encoding="utf-8", newline="") as file:
        named = [(int(one), int(other)) for one, others in islice(csv.reader(file), 1, None) for other in others.split(",")]
    pairs = {(min(pair), max(pair)) for one, other in named if len(pair := {places.get(one, -1), places.get(other, -1)}) > 1}
    asked = [
        Asked(f"{rows[later].title}\n{rows[later].text}", later, earlier) for earlier, later in pairs if earlier >= 0
    ]
    return rows, sorted(asked, key=lambda one: (one.earlier, one.answer))


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%d/%b/%y %H:%M")  # noqa: DTZ007 - only their order counts


def plain(rows: Sequence[Ticket], asked: Iterable[Asked]) -> list[int]:
    """Give the rank of each answer by plain BM25; 0 where it is not found."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE word USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')")
    there, ranks = 0, []
    for question in asked:
        for at in range(there, question.earlier):
            database.execute("INSERT INTO word (rowid, text) VALUES (?, ?)", (at, f"{rows[at].title}\n{rows[at].text}"))
        there = question.earlier
        said = dict.fromkeys(word.lower() for word in _WORD.findall(question.text))
        query = " OR ".join(f'"{word}"' for word in said)
        found = database.execute("SELECT rowid FROM word WHERE word MATCH ? ORDER BY rank LIMIT ?", (query, _DEEPEST))
        ranks.append(_rank([row[0] for row in found], question.answer))
    database.close()
    return ranks


def ours(rows: Sequence[Ticket], asked: Iterable[Asked], path: Path) -> list[int]:
    """Give the rank of each answer by the search of the journal, as `backout search` asks it."""
    there, ranks, now = 0, [], [0.0]
    with SqliteJournal(path, lambda: now[0]) as journal:
        for question in asked:
            now[0] = rows[question.earlier].created.timestamp()
            for ticket in rows[there : question.earlier]:
                body = {"title": ticket.title, "text": ticket.text}
                journal.append(at=ticket.created.timestamp(), actor="bench", type="postmortem", body=body)
            there = question.earlier
            hits = journal.search(question.text, _DEEPEST).hits
            ranks.append(_rank([hit.event.seq - 1 for hit in hits], question.answer))
    return ranks


def _rank(found: Sequence[int], answer: int) -> int:
    return found.index(answer) + 1 if answer in found else 0


def _first(rank: int) -> float:
    return float(rank == 1)


def _fifth(rank: int) -> float:
    return float(1 <= rank <= 5)  # noqa: PLR2004 - recall at 5


def _reciprocal(rank: int) -> float:
    return 1 / rank if rank else 0.0


def gain(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """Give the mean gain of pairs of values, and its bounds in 95 % of paired bootstrap samples (seeded)."""
    gains = [new - old for old, new in zip(before, after, strict=True)]
    drawn = random.Random(1)  # noqa: S311 - a sample, not a secret
    means = sorted(statistics.fmean(drawn.choices(gains, k=len(gains))) for _ in range(_RESAMPLED))
    return statistics.fmean(gains), means[int(0.025 * _RESAMPLED)], means[int(0.975 * _RESAMPLED)]


def found(place: Place, folder: Path) -> str:
    """Measure how well it finds; gives a table."""
    rows, asked = tickets(folder)
    before, after = plain(rows, asked), ours(rows, asked, Path(place.path("tickets.db")))
    lines = [f"| {len(asked)} questions | plain BM25 | backout search | gain | 95 % |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, measure in (("R@1", _first), ("R@5", _fifth), ("MRR", _reciprocal)):
        old, new = [measure(rank) for rank in before], [measure(rank) for rank in after]
        mean, low, high = gain(old, new)
        lines.append(
            f"| {name} | {statistics.fmean(old):.3f} | {statistics.fmean(new):.3f} | {mean:+.3f} | {low:+.3f} to {high:+.3f} |"
        )
    return "\n".join(lines)

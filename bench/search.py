"""Whether the search finds the earlier ticket of a known problem, and how long it takes over 200,000 entries.

The tickets are no part of the project: Apache Hadoop's, from the data set GitBugs (github.com/av9ash/gitbugs, CC BY
4.0). BACKOUT_BENCH_TICKETS names a folder with its `hadoop_bugs.csv` as tickets.csv and `hadoop_bugs-combined.csv` as
duplicates.csv.
"""

from __future__ import annotations

import csv
import itertools
import os
import random
import re
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from backout.store.sqlite import SqliteJournal
from bench.contest import Place

ENTRIES = 200_000
_ASKED = 100
_DEEPEST = 100
"""So far down the list the ticket is looked for; MRR takes one that is not there for none."""
_RESAMPLED = 10_000
_WORD = re.compile(r"[^\W_]+")
_VOCABULARY = 30_000
_NOTE = (
    "Apache Hadoop's tickets (GitBugs, github.com/av9ash/gitbugs, CC BY 4.0; no part of the project). Each question "
    "is the later ticket of a known pair of duplicates, summary and description; what is searched are all earlier "
    "tickets, each as an imported postmortem in a journal, by the very call of `backout search`. Plain BM25 is FTS5's "
    f"own over the full text, for any word of the question. The gain's bounds hold 95 % of {_RESAMPLED:,} paired "
    "bootstrap samples.\n\n"
    "What was settled where: k1, b and the weight of titles are the literature's usual ones. Stems, parts of names, "
    "pairs of words, how soon age counts, and how much it counts that headline and title are spelt alike were tried "
    "on the 46 pairs of duplicates of SeaMonkey in the same data set; all but age also on 250 Hadoop tickets that are "
    "in no pair: every other line was the question, the title and the other lines what was to be found. The questions "
    "of this table were asked three times while the search was built: with words alone (R@1 0.455, MRR 0.574), with "
    "age (0.500, 0.626), and with spelling, as it stands; they chose nothing but that it went on.\n\n"
    "To measure it again: BACKOUT_BENCH_TICKETS names a folder with hadoop/hadoop_bugs.csv of the data set as "
    "tickets.csv and hadoop/hadoop_bugs-combined.csv as duplicates.csv."
)
_SPEED = (
    f"Entries of 24 words, drawn from {_VOCABULARY:,} as words of a language are (Zipf), a tenth of them with a "
    f"traceback. {_ASKED} questions of each kind, by the processor's time, since the machine is shared; the journal is "
    "open and in the page cache, so that nothing is waited for."
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
        listed = [
            (one, other) for one, others in itertools.islice(csv.reader(file), 1, None) for other in others.split(",")
        ]
    named = [sorted((places.get(int(one), -1), places.get(int(other), -1))) for one, other in listed]
    pairs = {(earlier, later) for earlier, later in named if 0 <= earlier < later}
    asked = [Asked(f"{rows[later].title}\n{rows[later].text}", later, earlier) for earlier, later in pairs]
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
    lines = [
        f"| {len(asked)} questions | plain BM25 | backout search | gain | 95 % |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, measure in (("R@1", _first), ("R@5", _fifth), ("MRR", _reciprocal)):
        old, new = [measure(rank) for rank in before], [measure(rank) for rank in after]
        mean, low, high = gain(old, new)
        told = f"{statistics.fmean(old):.3f} | {statistics.fmean(new):.3f} | {mean:+.3f} | {low:+.3f} to {high:+.3f}"
        lines.append(f"| {name} | {told} |")
    return "\n".join(lines)


class Speech:
    """Texts as drawn from a language: few words are in nearly all of them, most are in few."""

    def __init__(self) -> None:
        """Make up the words, each spelt in its own way."""
        self._drawn = random.Random(2)  # noqa: S311 - texts, not secrets
        syllables = [one + two for one in "bdfgklmnprstvz" for two in ("a", "e", "i", "o", "u", "ar", "en", "is")]
        named = ("".join(self._drawn.choices(syllables, k=self._drawn.randint(2, 4))) for _ in range(2 * _VOCABULARY))
        self.words = list(dict.fromkeys(named))[:_VOCABULARY]
        self._weights = list(itertools.accumulate(1 / rank for rank in range(1, len(self.words) + 1)))

    def say(self, count: int) -> str:
        """Give a sentence of so many words."""
        return " ".join(self._drawn.choices(self.words, cum_weights=self._weights, k=count))

    def traceback(self, frames: int) -> str:
        """Give a traceback of so many frames."""
        lines = ["Traceback (most recent call last):"]
        for _ in range(frames):
            path, name = self.say(3).replace(" ", "/"), self.say(1)
            lines.append(f'  File "/srv/{path}.py", line {self._drawn.randint(1, 900)}, in {name}\n    {self.say(4)}')
        return "\n".join([*lines, f"{self.say(1).title()}Error: {self.say(8)}"])


def _entries(speech: Speech) -> Iterator[dict[str, object]]:
    for number in range(ENTRIES):
        why = speech.say(24) + (f"\n{speech.traceback(8)}" if number % 10 == 0 else "")
        told = {"format": 1, "host": "web1", "change": f"c{number}", "seq": number, "prev": "", "kind": "prepared"}
        yield {**told, "at": 1.7e9 + number * 60, "body": {"why": why}}


def speed(place: Place) -> str:
    """Measure how long it takes over many entries; gives a table."""
    speech = Speech()
    kinds = {
        "one word": lambda: speech.say(1),
        "a word that is only begun": lambda: speech.say(1)[:4],
        "three words": lambda: speech.say(3),
        "a misspelt word": lambda: f"{speech.say(1)}x",
        "a traceback of 20 frames": lambda: f"{speech.say(8)}\n{speech.traceback(20)}",
        "a log of 200 lines": lambda: "\n".join(f"2026-11-28 19:00:01 {speech.say(10)}" for _ in range(200)),
    }
    lines = [f"| {ENTRIES:,} entries | p50 | p99 |", "| --- | ---: | ---: |"]
    with SqliteJournal(Path(place.path("many.db")), lambda: 1.7e9 + ENTRIES * 60) as journal:
        journal.learn(_entries(speech))
        for kind, said in kinds.items():
            took = []
            for text in [said() for _ in range(_ASKED)]:
                begun = time.thread_time()
                journal.search(text, 50)
                took.append(time.thread_time() - begun)
            took.sort()
            p50, p99 = took[_ASKED // 2], took[int(_ASKED * 0.99)]
            lines.append(f"| {kind} | {p50 * 1000:.1f} ms | {p99 * 1000:.1f} ms |")
    return "\n".join(lines)


def told(place: Place) -> str:
    """Measure; gives the part of the page. Without the tickets it says so, and how to get them."""
    folder = os.environ.get("BACKOUT_BENCH_TICKETS", "")
    has = bool(folder) and Path(folder, "tickets.csv").exists()
    table = found(place, Path(folder)) if has else "Not measured: BACKOUT_BENCH_TICKETS names no folder with them."
    return f"## A known problem is found again (`search`)\n\n{_NOTE}\n\n{table}\n\n{_SPEED}\n\n{speed(place)}\n"

"""Searching the words of the journal, and of what lies beside it: SQLite fetches, `model.ranking` judges."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backout.model.ranking import Known, Question, excerpt, looked_up, question, ranked, weigh
from backout.store.journal import Event, Found, Hit
from backout.store.words import fts_query, nearest, passage, text_of, words

Rows = Callable[[str, tuple[Any, ...]], Iterator[Any]]

_LENGTH_SLACK = 2  # a misspelt word is about as long as the right one
_FETCHED = 200
"""So many passages are fetched by SQLite's own bm25, to be ranked."""
_TYPED = 12
"""So many words are typed at most: all of them are asked for first. What is longer was pasted."""
_READ = 150_000
"""So many rows may be read for one question: beyond that, common words are left out. It bounds the time."""
_BESIDE = """
ATTACH ':memory:' AS beside;
CREATE VIRTUAL TABLE beside.word USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE beside.vocabulary USING fts5vocab (word, row);
"""


class Searching:
    """One search over an open journal; `event_of` makes an event of a row of its table.

    What lies `beside` is searched along with it: events that the journal does not hold, which are indexed for the time
    of the search, in memory.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        rows: Rows,
        event_of: Callable[[Any], Event],
        beside: Sequence[Event],
        now: float,
    ) -> None:
        self._rows, self._event_of, self._beside, self._now = rows, event_of, beside, now
        self._schemas = ("main", "beside") if beside else ("main",)
        if beside and not any(name == "beside" for _, name, _ in database.execute("PRAGMA database_list")):
            database.executescript(_BESIDE)
        if beside:
            database.execute("DELETE FROM beside.word")
            texts = ((at, text_of(event.body)) for at, event in enumerate(beside))
            database.executemany("INSERT INTO beside.word (rowid, text) VALUES (?, ?)", texts)

    def find(self, text: str, limit: int) -> Found:
        """Find what holds all of a few words, the last one only begun; else what answers best."""
        query = fts_query(text)
        if not query:
            return Found(())
        asked = question(text)
        known = self._known(asked)
        if len(text.split()) > _TYPED or "\n" in text.strip():
            return Found(self._best(asked, known, limit))
        if found := self._fetched(query):
            order = [at for at, _ in ranked(asked, known, [passage(event, self._now) for event, _ in found])]
            rest = sorted({*range(len(found))} - {*order})  # found by a word that was only begun
            return Found(tuple(Hit(*found[at]) for at in (order + rest)[:limit]))
        return Found(self._best(asked, known, limit), self._meant(text))

    def _best(self, asked: Question, known: Known, limit: int) -> tuple[Hit, ...]:
        """Fetch what holds any of the words that tell most, and rank it."""
        chosen: list[str] = []
        rows = 0
        for word in looked_up(asked, known):
            rows += known.holding[word]
            if rows <= _READ or not chosen:
                chosen.append(word)
        if not chosen:
            return ()
        found = [event for event, _ in self._fetched(" OR ".join(f'"{word}"' for word in chosen))]
        passages = [passage(event, self._now) for event in found]
        best = ranked(asked, known, passages)[:limit]
        weights = weigh(asked, known)
        return tuple(Hit(found[at], excerpt(asked, weights, passages[at])) for at, _ in best)

    def _known(self, asked: Question) -> Known:
        """Ask the index how many passages there are, and how many hold each word of the question."""
        (stored,) = next(self._rows("SELECT coalesce(max(seq), 0) FROM event", ()))
        holding: dict[str, int] = {}
        for schema in self._schemas:
            for word in asked.words():
                for (count,) in self._rows(f"SELECT doc FROM {schema}.vocabulary WHERE term = ?", (word,)):  # noqa: S608
                    holding[word] = holding.get(word, 0) + count
        return Known(stored + len(self._beside), holding)

    def _fetched(self, query: str) -> list[tuple[Event, str]]:
        """Give the events that a query of FTS5 finds, best (bm25) first, and what it shows of each."""
        found: list[tuple[Event, str]] = []
        for schema in reversed(self._schemas):
            rows = self._rows(
                f"SELECT rowid, snippet(word, 0, '', '', '…', 16) FROM {schema}.word"  # noqa: S608
                " WHERE word MATCH ? ORDER BY rank, rowid DESC LIMIT ?",
                (query, _FETCHED),
            )
            found += [(self._named(schema, rowid), " ".join(shown.split())) for rowid, shown in list(rows)]
        return found

    def _named(self, schema: str, rowid: int) -> Event:
        if schema == "beside":
            return self._beside[rowid]
        return self._event_of(next(self._rows("SELECT * FROM event WHERE seq = ?", (rowid,))))

    def _meant(self, text: str) -> str | None:
        """Give the text with each unknown word replaced by the nearest known one; None where that changes nothing."""
        given = words(text)
        meant = [self._nearest(word) or word for word in given]
        return " ".join(meant) if meant != given else None

    def _nearest(self, word: str) -> str | None:
        lengths = (len(word) - _LENGTH_SLACK, len(word) + _LENGTH_SLACK)
        known = [
            term
            for schema in self._schemas
            for (term,) in self._rows(
                f"SELECT term FROM {schema}.vocabulary WHERE length(term) BETWEEN ? AND ?",  # noqa: S608
                lengths,
            )
        ]
        return word if word in known else nearest(word, known)

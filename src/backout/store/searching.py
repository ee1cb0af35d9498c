"""Searching the words of the journal, and of what lies beside it: SQLite fetches, `model.ranking` judges."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backout.model.ranking import Known, Passage, Question, excerpt, looked_up, question, ranked, weigh
from backout.store.journal import LEDGER, Event, Found, Hit
from backout.store.words import fts_query, nearest, text_of, words

Rows = Callable[[str, tuple[Any, ...]], Iterator[Any]]

_LENGTH_SLACK = 2  # a misspelt word is about as long as the right one
_FETCHED = 200
"""So many passages are fetched by SQLite's own bm25, to be ranked."""
_TYPED = 12
"""So many words are typed at most: all of them are asked for first. What is longer was pasted."""
_EVERYWHERE = 20_000
"""What as many entries hold tells nothing by itself: the newest of them are taken, instead of judging all."""
_READ = 50_000
"""So many rows may be read for one question: beyond that, common words are left out. It bounds the time."""
_BESIDE = """
ATTACH ':memory:' AS beside;
CREATE VIRTUAL TABLE beside.word USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE beside.vocabulary USING fts5vocab (word, row);
"""

_Place = tuple[str, int]
"""The schema, and the row in it."""


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
        if places := self._fetched(query):
            return Found(self._ranked(asked, known, places, limit, text.rsplit(maxsplit=1)[-1]))
        return Found(self._best(asked, known, limit), self._meant(text))

    def _best(self, asked: Question, known: Known, limit: int) -> tuple[Hit, ...]:
        """Fetch what holds any of the words that tell most, and rank it."""
        chosen: list[str] = []
        rows = 0
        for word in looked_up(asked, known):
            rows += known.holding[word]
            if rows <= _READ or not chosen:
                chosen.append(word)
        places = self._fetched(" OR ".join(f'"{word}"' for word in chosen)) if chosen else []
        return self._ranked(asked, known, places, limit)

    def _ranked(
        self, asked: Question, known: Known, places: Sequence[_Place], limit: int, begun: str | None = None
    ) -> tuple[Hit, ...]:
        """Rank what was fetched; where a word was only `begun`, all of it is an answer."""
        found = [event for place in places for event in self._events(place)]
        passages = [passage(event, self._now) for event in found]
        order = [at for at, _ in ranked(asked, known, passages)]
        if begun is not None:
            order += sorted({*range(len(found))} - {*order})
        weights = weigh(asked, known)
        return tuple(Hit(found[at], excerpt(asked, weights, passages[at], begun or "")) for at in order[:limit])

    def _known(self, asked: Question) -> Known:
        """Ask the index how many passages there are, and how many hold each word of the question."""
        (stored,) = next(self._rows("SELECT coalesce(max(seq), 0) FROM event", ()))
        holding: dict[str, int] = {}
        for schema in self._schemas:
            for word in asked.words():
                for (count,) in self._rows(f"SELECT doc FROM {schema}.vocabulary WHERE term = ?", (word,)):  # noqa: S608
                    holding[word] = holding.get(word, 0) + count
        return Known(stored + len(self._beside), holding)

    def _fetched(self, query: str) -> list[_Place]:
        """Give where a query of FTS5 finds something, best (bm25) first; of what is everywhere the newest."""
        found: list[_Place] = []
        for schema in reversed(self._schemas):
            matching = f"FROM {schema}.word WHERE word MATCH ?"  # the schema is one of two names of ours
            counted = f"SELECT count(*) FROM (SELECT 1 {matching} LIMIT ?)"  # noqa: S608
            ((count,),) = self._rows(counted, (query, _EVERYWHERE))
            order = "rank" if count < _EVERYWHERE else "rowid DESC"
            rows = self._rows(f"SELECT rowid {matching} ORDER BY {order} LIMIT ?", (query, _FETCHED))
            found += [(schema, rowid) for (rowid,) in rows]
        return found

    def _events(self, place: _Place) -> list[Event]:
        """Read what lies at a place: nothing, where a damaged journal has no such row any more."""
        schema, rowid = place
        if schema == "beside":
            return [self._beside[rowid]]
        return [self._event_of(row) for row in self._rows("SELECT * FROM event WHERE seq = ?", (rowid,))]

    def _meant(self, text: str) -> str | None:
        """Give the text with each unknown word replaced by the nearest known one; None where that changes nothing."""
        given = words(text)
        meant = [self._nearest(word) or word for word in given]
        return " ".join(meant) if meant != given else None

    def _nearest(self, word: str) -> str | None:
        """Look among the words that begin as this one does, or with its second letter: reading all takes seconds."""
        known: list[str] = []
        for schema in self._schemas:
            for first in dict.fromkeys(word[:2]):
                rows = self._rows(
                    f"SELECT term FROM {schema}.vocabulary"  # noqa: S608
                    " WHERE term >= ? AND term < ? AND length(term) BETWEEN ? AND ?",
                    (first, chr(ord(first) + 1), len(word) - _LENGTH_SLACK, len(word) + _LENGTH_SLACK),
                )
                known += [term for (term,) in rows]
        return word if word in known else nearest(word, known)


def passage(event: Event, now: float) -> Passage:
    """Give what of an event is its title, and all of its text: a change's is why and by which command it was made."""
    body = event.body
    inner = body["body"] if event.type == LEDGER and isinstance(body.get("body"), dict) else body
    if not isinstance(title := inner.get("title"), str):
        command = inner.get("command")
        did = " ".join(map(str, command)) if isinstance(command, list) else ""
        said = next((said for key in ("why", "text") if isinstance(said := inner.get(key), str) and said), "")
        title = " ".join(filter(None, (said.partition("\n")[0], did)))
    return Passage(title, text_of({key: value for key, value in inner.items() if key != "title"}, "\n"), now - event.at)

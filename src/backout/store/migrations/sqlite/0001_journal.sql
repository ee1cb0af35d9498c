CREATE TABLE migration (
    number  INTEGER PRIMARY KEY,
    release TEXT NOT NULL                -- the backout that brought it: an older one can say what it needs
) STRICT;

CREATE TABLE event (
    seq         INTEGER PRIMARY KEY,
    prev        TEXT NOT NULL,           -- the hash of the event before
    at          REAL NOT NULL,           -- seconds since the epoch, UTC
    recorded_at REAL NOT NULL,
    actor       TEXT NOT NULL,
    type        TEXT NOT NULL,
    body        TEXT NOT NULL            -- canonical JSON
) STRICT;

CREATE TRIGGER event_stays BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;

CREATE TRIGGER event_remains BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;

-- Which ledger entries have been learned, and as which event.
CREATE TABLE learned (
    host   TEXT NOT NULL,
    change TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    event  INTEGER NOT NULL REFERENCES event (seq),
    PRIMARY KEY (host, change, seq)
) STRICT, WITHOUT ROWID;

-- The words of each event, under its seq as rowid.
CREATE VIRTUAL TABLE word USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (word, row);

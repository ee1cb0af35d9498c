-- Contents that events name by their SHA-256: stored once, whoever names them. `bytes` is compressed (zlib).
CREATE TABLE content (
    sha256 TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER content_stays BEFORE UPDATE ON content
BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;

CREATE TRIGGER content_remains BEFORE DELETE ON content
BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;

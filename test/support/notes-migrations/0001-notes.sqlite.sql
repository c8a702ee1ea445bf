CREATE TABLE notes (
  name TEXT PRIMARY KEY,
  text TEXT NOT NULL CHECK (text <> ''),
  written_at_ms INTEGER NOT NULL,
  sealed BLOB
) STRICT;

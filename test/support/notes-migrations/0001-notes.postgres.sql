CREATE TABLE notes (
  name TEXT COLLATE "C" PRIMARY KEY,
  text TEXT NOT NULL CHECK (text <> ''),
  written_at_ms BIGINT NOT NULL,
  sealed BYTEA
);

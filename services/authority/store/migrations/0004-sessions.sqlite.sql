-- The sessions of browsers. A session is known by the SHA-256 of its id only, and stands for a key, or for the
-- person that a token of an OpenID provider named (JSON: issuer, sub, claims).
CREATE TABLE sessions (
  id_sha256 TEXT PRIMARY KEY CHECK (length(id_sha256) = 64),
  principal TEXT NOT NULL,
  key_id TEXT REFERENCES keys (key_id),
  token TEXT,
  created_at_ms INTEGER NOT NULL,
  last_used_at_ms INTEGER NOT NULL,
  CHECK ((key_id IS NULL) <> (token IS NULL))
) STRICT;
CREATE INDEX sessions_by_principal ON sessions (principal, last_used_at_ms);
CREATE INDEX sessions_by_use ON sessions (last_used_at_ms);

-- The sessions of browsers. A session is known by the SHA-256 of its id only, and stands for a key, or for the
-- person that a token of an OpenID provider named (JSON: issuer, sub, claims).
CREATE TABLE sessions (
  id_sha256 TEXT COLLATE "C" PRIMARY KEY CHECK (length(id_sha256) = 64),
  principal TEXT COLLATE "C" NOT NULL,
  key_id TEXT COLLATE "C" REFERENCES keys (key_id),
  token TEXT,
  created_at_ms BIGINT NOT NULL,
  last_used_at_ms BIGINT NOT NULL,
  CHECK ((key_id IS NULL) <> (token IS NULL))
);
CREATE INDEX sessions_by_principal ON sessions (principal, last_used_at_ms);
CREATE INDEX sessions_by_use ON sessions (last_used_at_ms);

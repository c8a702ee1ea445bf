CREATE TABLE principals (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('human', 'agent', 'service')),
  tenant TEXT NOT NULL,
  made_by TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX principals_by_maker ON principals (made_by, id);

-- A key's secret part is stored as its SHA-256 only.
CREATE TABLE keys (
  key_id TEXT PRIMARY KEY,
  secret_sha256 TEXT NOT NULL CHECK (length(secret_sha256) = 64),
  name TEXT NOT NULL,
  principal TEXT NOT NULL REFERENCES principals (id),
  tenant TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'developer', 'observer')),
  projects TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  last_used_at_ms INTEGER,
  revoked_at_ms INTEGER
) STRICT;
CREATE INDEX keys_by_principal ON keys (principal);
CREATE INDEX keys_by_maker ON keys (tenant, made_by, created_at_ms);

-- One row: a number that grows with each change that takes something from a principal.
CREATE TABLE changes (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL
) STRICT;
INSERT INTO changes (one, version) VALUES (1, 1);

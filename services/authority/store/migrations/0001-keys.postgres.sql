CREATE TABLE principals (
  id TEXT COLLATE "C" PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('human', 'agent', 'service')),
  tenant TEXT COLLATE "C" NOT NULL,
  made_by TEXT COLLATE "C" NOT NULL,
  disabled BIGINT NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  created_at_ms BIGINT NOT NULL
);
CREATE INDEX principals_by_maker ON principals (made_by, id);

-- A key's secret part is stored as its SHA-256 only.
CREATE TABLE keys (
  key_id TEXT COLLATE "C" PRIMARY KEY,
  secret_sha256 TEXT COLLATE "C" NOT NULL CHECK (length(secret_sha256) = 64),
  name TEXT COLLATE "C" NOT NULL,
  principal TEXT COLLATE "C" NOT NULL REFERENCES principals (id),
  tenant TEXT COLLATE "C" NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'developer', 'observer')),
  projects TEXT NOT NULL,
  made_by TEXT COLLATE "C" NOT NULL,
  created_at_ms BIGINT NOT NULL,
  expires_at_ms BIGINT,
  last_used_at_ms BIGINT,
  revoked_at_ms BIGINT
);
CREATE INDEX keys_by_principal ON keys (principal);
CREATE INDEX keys_by_maker ON keys (tenant, made_by, created_at_ms);

-- One row: a number that grows with each change that takes something from a principal.
CREATE TABLE changes (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  version BIGINT NOT NULL
);
INSERT INTO changes (one, version) VALUES (1, 1);

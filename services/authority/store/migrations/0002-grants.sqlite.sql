CREATE TABLE grants (
  grant_id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  -- For a certificate, for one subject of an issuer, or for subjects by a claim of their tokens.
  cert TEXT,
  issuer TEXT,
  sub TEXT,
  claim TEXT,
  equals TEXT,
  role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'developer', 'observer')),
  kind TEXT NOT NULL CHECK (kind IN ('human', 'agent', 'service')),
  made_by TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  CHECK (
    (cert IS NOT NULL AND issuer IS NULL AND sub IS NULL AND claim IS NULL AND equals IS NULL)
    OR (cert IS NULL AND issuer IS NOT NULL AND sub IS NOT NULL AND claim IS NULL AND equals IS NULL)
    OR (cert IS NULL AND issuer IS NOT NULL AND sub IS NULL AND claim IS NOT NULL AND equals IS NOT NULL)
  )
) STRICT;
CREATE INDEX grants_by_cert ON grants (cert) WHERE cert IS NOT NULL;
CREATE INDEX grants_by_issuer ON grants (issuer, sub) WHERE issuer IS NOT NULL;
CREATE INDEX grants_by_tenant ON grants (tenant, created_at_ms);

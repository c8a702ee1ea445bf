-- One row per key that a submission came with: of racing submissions the primary key lets one in. A key outlives its
-- execution when that is forgotten early, so that nothing is run twice.
CREATE TABLE idempotency_keys (
  key TEXT COLLATE "C" PRIMARY KEY,
  -- SHA-256 of the request, in hex.
  fingerprint TEXT COLLATE "C" NOT NULL,
  execution_id TEXT COLLATE "C" REFERENCES executions (execution_id) ON DELETE SET NULL,
  created_at_ms BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_of_execution ON idempotency_keys (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX idempotency_keys_to_forget ON idempotency_keys (created_at_ms) WHERE execution_id IS NULL;

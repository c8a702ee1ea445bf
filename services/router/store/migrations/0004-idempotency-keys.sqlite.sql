CREATE TABLE idempotency_keys (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  execution_id TEXT REFERENCES executions (execution_id) ON DELETE SET NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_of_execution ON idempotency_keys (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX idempotency_keys_to_forget ON idempotency_keys (created_at_ms) WHERE execution_id IS NULL;

CREATE TABLE execution_redactions (
  execution_id TEXT NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
  secret TEXT NOT NULL,
  field TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (execution_id, secret, field)
) STRICT;

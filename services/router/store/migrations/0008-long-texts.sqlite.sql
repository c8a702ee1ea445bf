-- Texts that are too long for the row of their execution, in pieces. The row counts their bytes.
ALTER TABLE executions ADD COLUMN apart_bytes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE long_texts (
  execution_id TEXT NOT NULL,
  field TEXT NOT NULL,
  position INTEGER NOT NULL,
  piece TEXT NOT NULL,
  PRIMARY KEY (execution_id, field, position)
) STRICT;
CREATE TRIGGER executions_long_texts AFTER DELETE ON executions WHEN OLD.apart_bytes > 0
BEGIN DELETE FROM long_texts WHERE execution_id = OLD.execution_id; END;

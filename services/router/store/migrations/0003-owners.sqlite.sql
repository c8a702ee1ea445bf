ALTER TABLE executions ADD COLUMN owner TEXT;
ALTER TABLE executions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1;
CREATE INDEX executions_unfinished ON executions (project) WHERE status IN ('pending', 'running', 'awaiting_llm');

CREATE TABLE output_by_position (
  execution_id TEXT NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  stdout TEXT NOT NULL,
  stderr TEXT NOT NULL,
  PRIMARY KEY (execution_id, position)
) STRICT;
INSERT INTO output_by_position SELECT execution_id, position, stdout, stderr FROM execution_output;
DROP TABLE execution_output;
ALTER TABLE output_by_position RENAME TO execution_output;

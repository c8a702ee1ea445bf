ALTER TABLE executions ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 1024;
DROP TRIGGER executions_terminal_is_final;
UPDATE executions SET stored_bytes = 1024 + octet_length(code) + octet_length(settings) + octet_length(memory)
  + COALESCE(octet_length(llm_prompt), 0) + COALESCE(octet_length(llm_model), 0)
  + COALESCE(octet_length(llm_answer), 0) + COALESCE(octet_length(error), 0)
  + octet_length(result) + octet_length(memory_updates)
  + (SELECT COALESCE(sum(octet_length(stdout) + octet_length(stderr)), 0) FROM execution_output
     WHERE execution_output.execution_id = executions.execution_id);
CREATE TRIGGER executions_terminal_is_final BEFORE UPDATE ON executions
WHEN OLD.end_reason IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a terminal status never changes'); END;

DROP INDEX executions_ended;
CREATE INDEX executions_ended ON executions (ended_at_ms, execution_id, stored_bytes) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX executions_ended_of_project ON executions (project, ended_at_ms, execution_id, stored_bytes)
  WHERE ended_at_ms IS NOT NULL;

CREATE TABLE stored_bytes (project TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO stored_bytes SELECT project, sum(stored_bytes) FROM executions GROUP BY project;
CREATE TRIGGER executions_counted AFTER INSERT ON executions
BEGIN
  INSERT INTO stored_bytes VALUES (NEW.project, NEW.stored_bytes)
  ON CONFLICT (project) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER executions_recounted AFTER UPDATE OF stored_bytes ON executions
BEGIN
  UPDATE stored_bytes SET bytes = bytes + NEW.stored_bytes - OLD.stored_bytes WHERE project = NEW.project;
END;
CREATE TRIGGER executions_uncounted AFTER DELETE ON executions
BEGIN UPDATE stored_bytes SET bytes = bytes - OLD.stored_bytes WHERE project = OLD.project; END;

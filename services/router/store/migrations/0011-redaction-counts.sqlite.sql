-- After an execution has ended, only its byte count may change, because redactions that come later count too.
CREATE TABLE redaction_counts (
  execution_id TEXT PRIMARY KEY REFERENCES executions (execution_id) ON DELETE CASCADE,
  counts TEXT NOT NULL
) STRICT;
INSERT INTO redaction_counts
  SELECT execution_id, json_group_object(field || ':' || secret, count) FROM execution_redactions GROUP BY execution_id;
DROP TABLE execution_redactions;
DROP TRIGGER executions_terminal_is_final;
UPDATE executions SET stored_bytes = stored_bytes + octet_length(redaction_counts.counts)
  FROM redaction_counts WHERE redaction_counts.execution_id = executions.execution_id;
CREATE TRIGGER executions_terminal_is_final
BEFORE UPDATE OF execution_id, project, status, code, timeout_ms, settings, memory, llm_id, llm_prompt, llm_model,
  llm_answer, cancel_requested, end_reason, error, result, memory_updates, truncated_stdout, truncated_stderr,
  execution_time_ms, created_at_ms, started_at_ms, ended_at_ms, owner, epoch, retry_of, retry_number, granted, apart_bytes
ON executions WHEN OLD.end_reason IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a terminal status never changes'); END;

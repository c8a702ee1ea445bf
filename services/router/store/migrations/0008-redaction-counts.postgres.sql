-- What was redacted from an execution, in one row, {"FIELD:SECRET": COUNT}: its bytes are counted. execution_redactions
-- keeps what there was before, and what a router of an earlier release adds that still runs.
CREATE TABLE redaction_counts (
  execution_id TEXT COLLATE "C" PRIMARY KEY REFERENCES executions (execution_id) ON DELETE CASCADE,
  counts TEXT NOT NULL
);

-- Of an ended execution its bytes alone may change: redactions that come after its end count, too.
DROP TRIGGER executions_never_go_back ON executions;
CREATE TRIGGER executions_never_go_back
  BEFORE UPDATE OF execution_id, project, status, owner, epoch, code, timeout_ms, settings, memory, llm_id, llm_prompt,
    llm_model, llm_answer, cancel_requested, end_reason, error, result, memory_updates, truncated_stdout,
    truncated_stderr, execution_time_ms, created_at_ms, started_at_ms, ended_at_ms, retry_of, retry_number, granted
  ON executions FOR EACH ROW
  WHEN (OLD.end_reason IS NOT NULL OR (NEW.status = 'pending' AND OLD.status <> 'pending') OR NEW.epoch < OLD.epoch)
  EXECUTE FUNCTION refuse_execution_change();

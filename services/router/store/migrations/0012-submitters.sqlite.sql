-- Who submitted an execution: the tenant that owns its data, the principal, and the principal that made that
-- one's key ('' when none did). The defaults stand for all executions from before principals were stored.
ALTER TABLE executions ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE executions ADD COLUMN principal TEXT NOT NULL DEFAULT 'system:local';
ALTER TABLE executions ADD COLUMN maker TEXT NOT NULL DEFAULT '';
CREATE INDEX executions_of_principal ON executions (tenant, principal, execution_id);
CREATE INDEX executions_of_maker ON executions (tenant, maker, execution_id) WHERE maker <> '';
CREATE INDEX executions_dead_letters_of_principal ON executions (tenant, principal, execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed');
CREATE INDEX executions_dead_letters_of_maker ON executions (tenant, maker, execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed') AND maker <> '';
DROP TRIGGER executions_terminal_is_final;
CREATE TRIGGER executions_terminal_is_final
BEFORE UPDATE OF execution_id, project, status, code, timeout_ms, settings, memory, llm_id, llm_prompt, llm_model,
  llm_answer, cancel_requested, end_reason, error, result, memory_updates, truncated_stdout, truncated_stderr,
  execution_time_ms, created_at_ms, started_at_ms, ended_at_ms, owner, epoch, retry_of, retry_number, granted,
  apart_bytes, tenant, principal, maker
ON executions WHEN OLD.end_reason IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a terminal status never changes'); END;
CREATE TRIGGER executions_keep_their_submitter BEFORE UPDATE OF tenant, principal, maker ON executions
WHEN OLD.tenant <> NEW.tenant OR OLD.principal <> NEW.principal OR OLD.maker <> NEW.maker
BEGIN SELECT RAISE(ABORT, 'an execution keeps its submitter'); END;

-- An idempotency key is its principal's own. The column `key` has the bare key for system:local of the tenant
-- default, as in all rows so far, and "TENANT PRINCIPAL KEY" for every other principal. A key contains no
-- space, so that the two forms never meet.
ALTER TABLE idempotency_keys ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
ALTER TABLE idempotency_keys ADD COLUMN principal TEXT NOT NULL DEFAULT 'system:local';

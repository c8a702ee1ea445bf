-- Who submitted an execution: the tenant that owns its data, the principal, and the principal that made that
-- one's key ('' when none did). The defaults stand for all executions from before principals were stored, and
-- for those that a router of an earlier release adds while a deployment is upgraded.
ALTER TABLE executions
  ADD COLUMN tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default',
  ADD COLUMN principal TEXT COLLATE "C" NOT NULL DEFAULT 'system:local',
  ADD COLUMN maker TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX executions_of_principal ON executions (tenant, principal, execution_id);
CREATE INDEX executions_of_maker ON executions (tenant, maker, execution_id) WHERE maker <> '';
CREATE INDEX executions_dead_letters_of_principal ON executions (tenant, principal, execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed');
CREATE INDEX executions_dead_letters_of_maker ON executions (tenant, maker, execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed') AND maker <> '';

DROP TRIGGER executions_never_go_back ON executions;
CREATE TRIGGER executions_never_go_back
  BEFORE UPDATE OF execution_id, project, status, owner, epoch, code, timeout_ms, settings, memory, llm_id, llm_prompt,
    llm_model, llm_answer, cancel_requested, end_reason, error, result, memory_updates, truncated_stdout,
    truncated_stderr, execution_time_ms, created_at_ms, started_at_ms, ended_at_ms, retry_of, retry_number, granted,
    tenant, principal, maker
  ON executions FOR EACH ROW
  WHEN (OLD.end_reason IS NOT NULL OR (NEW.status = 'pending' AND OLD.status <> 'pending') OR NEW.epoch < OLD.epoch)
  EXECUTE FUNCTION refuse_execution_change();

CREATE FUNCTION refuse_other_submitter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an execution keeps its submitter' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER executions_keep_their_submitter BEFORE UPDATE OF tenant, principal, maker ON executions FOR EACH ROW
  WHEN (OLD.tenant <> NEW.tenant OR OLD.principal <> NEW.principal OR OLD.maker <> NEW.maker)
  EXECUTE FUNCTION refuse_other_submitter();

-- An idempotency key is its principal's own. The primary key stays the column `key`, because routers of an
-- earlier release insert ON CONFLICT (key): the column has the bare key for system:local of the tenant
-- default, and "TENANT PRINCIPAL KEY" for every other principal. A key contains no space, so that the two
-- forms never meet.
ALTER TABLE idempotency_keys
  ADD COLUMN tenant TEXT COLLATE "C" NOT NULL DEFAULT 'default',
  ADD COLUMN principal TEXT COLLATE "C" NOT NULL DEFAULT 'system:local';

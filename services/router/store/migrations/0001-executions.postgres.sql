-- One row per execution. The constraints and the trigger hold the invariants (six statuses, a reason exactly at the
-- end, one open question exactly while waiting, terminal is final) whatever the code above them does.
-- What a script or an agent wrote is BYTEA: it may hold U+0000, which TEXT cannot.
CREATE TABLE executions (
  execution_id TEXT COLLATE "C" PRIMARY KEY,
  project TEXT COLLATE "C" NOT NULL,
  status TEXT COLLATE "C" NOT NULL
    CHECK (status IN ('pending', 'running', 'awaiting_llm', 'completed', 'error', 'timeout')),
  -- The router that may start and run it; the epoch counts how often it has changed hands.
  owner TEXT COLLATE "C",
  epoch BIGINT NOT NULL DEFAULT 1,
  code TEXT NOT NULL,
  timeout_ms BIGINT NOT NULL,
  settings TEXT NOT NULL,
  memory TEXT NOT NULL,
  llm_id TEXT COLLATE "C",
  llm_prompt BYTEA,
  llm_model BYTEA,
  llm_answer BYTEA,
  cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
  end_reason TEXT COLLATE "C" CHECK (end_reason IN (
    'completed', 'script_error', 'exit_nonzero', 'timeout', 'llm_timeout', 'cancelled', 'out_of_memory', 'killed',
    'result_invalid', 'result_too_large', 'output_withheld', 'worker_lost', 'start_failed')),
  error BYTEA,
  result TEXT NOT NULL DEFAULT 'null',
  memory_updates TEXT NOT NULL DEFAULT '{}',
  truncated_stdout BIGINT NOT NULL DEFAULT 0,
  truncated_stderr BIGINT NOT NULL DEFAULT 0,
  execution_time_ms BIGINT,
  created_at_ms BIGINT NOT NULL,
  started_at_ms BIGINT,
  ended_at_ms BIGINT,
  CONSTRAINT ended_has_a_reason CHECK ((status IN ('completed', 'error', 'timeout')) = (end_reason IS NOT NULL)),
  CONSTRAINT ended_has_a_time CHECK ((end_reason IS NULL) = (ended_at_ms IS NULL)),
  CONSTRAINT completed_is_completed CHECK ((status = 'completed') = (end_reason IS NOT DISTINCT FROM 'completed')),
  CONSTRAINT waits_for_one_open_question
    CHECK (status <> 'awaiting_llm' OR (llm_id IS NOT NULL AND llm_answer IS NULL)),
  CONSTRAINT runs_since_a_time CHECK (status NOT IN ('running', 'awaiting_llm') OR started_at_ms IS NOT NULL)
) WITH (
  -- Each execution is written about three times; waiting for a fifth of a large table to be dead is too long.
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02
);
CREATE INDEX executions_by_project ON executions (project, execution_id);
CREATE INDEX executions_by_status ON executions (status, execution_id);
CREATE INDEX executions_by_project_and_status ON executions (project, status, execution_id);
CREATE INDEX executions_ended ON executions (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX executions_of_owner ON executions (owner, execution_id)
  WHERE status IN ('pending', 'running', 'awaiting_llm');

CREATE FUNCTION refuse_execution_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an execution never goes back: % to % (epoch % to %)', OLD.status, NEW.status, OLD.epoch, NEW.epoch
    USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER executions_never_go_back BEFORE UPDATE ON executions FOR EACH ROW
  WHEN (OLD.end_reason IS NOT NULL OR (NEW.status = 'pending' AND OLD.status <> 'pending') OR NEW.epoch < OLD.epoch)
  EXECUTE FUNCTION refuse_execution_change();

CREATE TABLE execution_output (
  execution_id TEXT COLLATE "C" NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
  position BIGINT NOT NULL,
  stdout BYTEA NOT NULL,
  stderr BYTEA NOT NULL,
  PRIMARY KEY (execution_id, position)
);

CREATE TABLE execution_redactions (
  execution_id TEXT COLLATE "C" NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
  secret TEXT COLLATE "C" NOT NULL,
  field TEXT COLLATE "C" NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (execution_id, secret, field)
);

-- The routers that live: each says so every few seconds.
CREATE TABLE routers (
  router_id TEXT COLLATE "C" PRIMARY KEY,
  seen_at TIMESTAMPTZ NOT NULL
);

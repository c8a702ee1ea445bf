-- One row per execution. The constraints and the trigger enforce the invariants, whatever the router's code does: six
-- statuses, an open llm request exactly while waiting, an end reason exactly in a terminal status, and terminal
-- statuses that never change.
CREATE TABLE executions (
  execution_id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'awaiting_llm', 'completed', 'error', 'timeout')),
  code TEXT NOT NULL,
  timeout_ms INTEGER NOT NULL,
  settings TEXT NOT NULL,
  memory TEXT NOT NULL,
  llm_id TEXT,
  llm_prompt TEXT,
  llm_model TEXT,
  llm_answer TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  end_reason TEXT,
  error TEXT,
  result TEXT NOT NULL DEFAULT 'null',
  memory_updates TEXT NOT NULL DEFAULT '{}',
  truncated_stdout INTEGER NOT NULL DEFAULT 0,
  truncated_stderr INTEGER NOT NULL DEFAULT 0,
  execution_time_ms INTEGER,
  created_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER,
  ended_at_ms INTEGER,
  CHECK ((status IN ('completed', 'error', 'timeout')) = (end_reason IS NOT NULL)),
  CHECK ((end_reason IS NULL) = (ended_at_ms IS NULL)),
  CHECK ((status = 'completed') = (end_reason IS NOT NULL AND end_reason = 'completed')),
  CHECK (status <> 'awaiting_llm' OR llm_id IS NOT NULL)
) STRICT;
CREATE INDEX executions_by_project ON executions (project, execution_id);
CREATE INDEX executions_by_status ON executions (status, execution_id);
CREATE INDEX executions_ended ON executions (ended_at_ms) WHERE ended_at_ms IS NOT NULL;

CREATE TRIGGER executions_terminal_is_final BEFORE UPDATE ON executions
WHEN OLD.end_reason IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a terminal status never changes'); END;

CREATE TABLE execution_output (
  execution_id TEXT NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
  position INTEGER PRIMARY KEY,
  stdout TEXT NOT NULL,
  stderr TEXT NOT NULL
) STRICT;
CREATE INDEX execution_output_of ON execution_output (execution_id, position);

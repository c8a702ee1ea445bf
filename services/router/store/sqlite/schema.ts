import { LONG_TEXTS_SCHEMA } from "./long-texts.ts";

/**
 * The tables, as numbered migrations. A database stores the number of its last migration in `user_version`.
 * The constraints enforce the invariants, whatever the router's code does: six statuses, an open question
 * exactly while waiting, an end reason exactly in a terminal status, and terminal statuses that never change.
 */
export const MIGRATIONS: readonly string[] = [
  `
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
  `,
  `
  CREATE TABLE execution_redactions (
    execution_id TEXT NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    field TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (execution_id, secret, field)
  ) STRICT
  `,
  `
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
  ALTER TABLE output_by_position RENAME TO execution_output
  `,
  `
  CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    execution_id TEXT REFERENCES executions (execution_id) ON DELETE SET NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX idempotency_keys_of_execution ON idempotency_keys (execution_id) WHERE execution_id IS NOT NULL;
  CREATE INDEX idempotency_keys_to_forget ON idempotency_keys (created_at_ms) WHERE execution_id IS NULL
  `,
  `
  ALTER TABLE executions ADD COLUMN retry_of TEXT;
  ALTER TABLE executions ADD COLUMN retry_number INTEGER;
  CREATE UNIQUE INDEX executions_retries ON executions (retry_of, retry_number) WHERE retry_of IS NOT NULL;
  CREATE INDEX executions_dead_letters ON executions (execution_id)
    WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed')
  `,
  "ALTER TABLE executions ADD COLUMN granted TEXT",
  `
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
  BEGIN UPDATE stored_bytes SET bytes = bytes - OLD.stored_bytes WHERE project = OLD.project; END
  `,
  LONG_TEXTS_SCHEMA,
  "CREATE TABLE held_projects (project TEXT PRIMARY KEY, held_at_ms INTEGER NOT NULL) STRICT",
  `
  CREATE INDEX executions_by_project_and_status ON executions (project, status, execution_id);
  CREATE INDEX executions_dead_letters_of_project ON executions (project, execution_id)
    WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed')
  `,
  // After an execution has ended, only its byte count may change, because redactions that come later count
  // too.
  `
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
  BEGIN SELECT RAISE(ABORT, 'a terminal status never changes'); END
  `,
];

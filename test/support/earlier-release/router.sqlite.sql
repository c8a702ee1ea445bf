-- A router's SQLite file as the release before the database kit left it: `sqlite3 airlock.db .dump`.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
    ended_at_ms INTEGER, owner TEXT, epoch INTEGER NOT NULL DEFAULT 1, retry_of TEXT, retry_number INTEGER, granted TEXT, stored_bytes INTEGER NOT NULL DEFAULT 1024, apart_bytes INTEGER NOT NULL DEFAULT 0,
    CHECK ((status IN ('completed', 'error', 'timeout')) = (end_reason IS NOT NULL)),
    CHECK ((end_reason IS NULL) = (ended_at_ms IS NULL)),
    CHECK ((status = 'completed') = (end_reason IS NOT NULL AND end_reason = 'completed')),
    CHECK (status <> 'awaiting_llm' OR llm_id IS NOT NULL)
  ) STRICT;
INSERT INTO executions VALUES('0198c0de-0000-7000-8000-000000000001','demo','completed',replace('print(''ü'')\n','\n',char(10)),60000,'{"REGION":"eu"}','{"a":{"n":9007199254740993}}',NULL,NULL,NULL,NULL,0,'completed',NULL,'[1.0]','{}',0,0,7,1,10,20,'router-before',1,NULL,NULL,'{"workerId":"w","workerAddress":"unix:/w","secretsVersion":"v","llmTimeoutMs":1,"network":false}',1367,0);
INSERT INTO executions VALUES('0198c0de-0000-7000-8000-000000000002','demo','awaiting_llm',replace('print(''ü'')\n','\n',char(10)),60000,'{"REGION":"eu"}','{"a":{"n":9007199254740993}}','llm_1','Say hello','default',NULL,0,NULL,NULL,'null','{}',0,0,5,2,11,NULL,'router-before',1,NULL,NULL,'{"workerId":"w","workerAddress":"unix:/w","secretsVersion":"v","llmTimeoutMs":1,"network":false}',1101,0);
INSERT INTO executions VALUES('0198c0de-0000-7000-8000-000000000003','demo','pending',replace('print(''ü'')\n','\n',char(10)),60000,'{"REGION":"eu"}','{"a":{"n":9007199254740993}}',NULL,NULL,NULL,NULL,0,NULL,NULL,'null','{}',0,0,NULL,3,NULL,NULL,'router-before',1,NULL,NULL,NULL,1079,0);
INSERT INTO executions VALUES('0198c0de-0000-7000-8000-000000000004','demo','error','raise SystemExit',60000,'{"REGION":"eu"}','{"a":{"n":9007199254740993}}',NULL,NULL,NULL,NULL,0,'worker_lost','gone','null','{}',0,0,0,4,12,30,'router-before',1,NULL,NULL,'{"workerId":"w","workerAddress":"unix:/w","secretsVersion":"v","llmTimeoutMs":1,"network":false}',1093,0);
CREATE TABLE IF NOT EXISTS "execution_output" (
    execution_id TEXT NOT NULL REFERENCES executions (execution_id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    stdout TEXT NOT NULL,
    stderr TEXT NOT NULL,
    PRIMARY KEY (execution_id, position)
  ) STRICT;
INSERT INTO execution_output VALUES('0198c0de-0000-7000-8000-000000000001',0,'one ','');
INSERT INTO execution_output VALUES('0198c0de-0000-7000-8000-000000000001',1,'two','');
CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    execution_id TEXT REFERENCES executions (execution_id) ON DELETE SET NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
INSERT INTO idempotency_keys VALUES('once','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','0198c0de-0000-7000-8000-000000000001',1);
CREATE TABLE stored_bytes (project TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO stored_bytes VALUES('demo',4640);
CREATE TABLE long_texts (
    execution_id TEXT NOT NULL,
    field TEXT NOT NULL,
    position INTEGER NOT NULL,
    piece TEXT NOT NULL,
    PRIMARY KEY (execution_id, field, position)
  ) STRICT;
CREATE TABLE held_projects (project TEXT PRIMARY KEY, held_at_ms INTEGER NOT NULL) STRICT;
INSERT INTO held_projects VALUES('held',40);
CREATE TABLE redaction_counts (
    execution_id TEXT PRIMARY KEY REFERENCES executions (execution_id) ON DELETE CASCADE,
    counts TEXT NOT NULL
  ) STRICT;
INSERT INTO redaction_counts VALUES('0198c0de-0000-7000-8000-000000000001','{"stdout:TOKEN":2}');
CREATE INDEX executions_by_project ON executions (project, execution_id);
CREATE INDEX executions_by_status ON executions (status, execution_id);
CREATE INDEX executions_unfinished ON executions (project) WHERE status IN ('pending', 'running', 'awaiting_llm');
CREATE INDEX idempotency_keys_of_execution ON idempotency_keys (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX idempotency_keys_to_forget ON idempotency_keys (created_at_ms) WHERE execution_id IS NULL
  ;
CREATE UNIQUE INDEX executions_retries ON executions (retry_of, retry_number) WHERE retry_of IS NOT NULL;
CREATE INDEX executions_dead_letters ON executions (execution_id)
    WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed')
  ;
CREATE INDEX executions_ended ON executions (ended_at_ms, execution_id, stored_bytes) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX executions_ended_of_project ON executions (project, ended_at_ms, execution_id, stored_bytes)
    WHERE ended_at_ms IS NOT NULL;
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
CREATE TRIGGER executions_long_texts AFTER DELETE ON executions WHEN OLD.apart_bytes > 0
  BEGIN DELETE FROM long_texts WHERE execution_id = OLD.execution_id; END;
CREATE INDEX executions_by_project_and_status ON executions (project, status, execution_id);
CREATE INDEX executions_dead_letters_of_project ON executions (project, execution_id)
    WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed')
  ;
CREATE TRIGGER executions_terminal_is_final
  BEFORE UPDATE OF execution_id, project, status, code, timeout_ms, settings, memory, llm_id, llm_prompt, llm_model,
    llm_answer, cancel_requested, end_reason, error, result, memory_updates, truncated_stdout, truncated_stderr,
    execution_time_ms, created_at_ms, started_at_ms, ended_at_ms, owner, epoch, retry_of, retry_number, granted, apart_bytes
  ON executions WHEN OLD.end_reason IS NOT NULL
  BEGIN SELECT RAISE(ABORT, 'a terminal status never changes'); END;
COMMIT;
PRAGMA user_version=11;

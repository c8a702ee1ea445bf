-- What each execution takes, in bytes, is written with it; 1,024 are for the row itself. So the oldest ended executions
-- of a project can go once it stores too much.
ALTER TABLE executions ADD COLUMN stored_bytes BIGINT NOT NULL DEFAULT 1024;
ALTER TABLE executions DISABLE TRIGGER executions_never_go_back;
-- octet_length reads no value that stands outside the row, only its length.
UPDATE executions SET stored_bytes = 1024 + octet_length(code) + octet_length(settings) + octet_length(memory)
  + COALESCE(octet_length(llm_prompt), 0) + COALESCE(octet_length(llm_model), 0) + COALESCE(octet_length(llm_answer), 0)
  + COALESCE(octet_length(error), 0) + octet_length(result) + octet_length(memory_updates)
  + (SELECT COALESCE(sum(octet_length(stdout) + octet_length(stderr)), 0) FROM execution_output
     WHERE execution_output.execution_id = executions.execution_id);
ALTER TABLE executions ENABLE TRIGGER executions_never_go_back;

DROP INDEX executions_ended;
CREATE INDEX executions_ended ON executions (ended_at_ms, execution_id) INCLUDE (stored_bytes)
  WHERE ended_at_ms IS NOT NULL;
CREATE INDEX executions_ended_of_project ON executions (project, ended_at_ms, execution_id) INCLUDE (stored_bytes)
  WHERE ended_at_ms IS NOT NULL;

-- The sums, kept by triggers. A project has several rows, which count together (one alone may be negative): connections
-- that write at the same time would otherwise wait for each other's commit.
CREATE TABLE stored_bytes (
  project TEXT COLLATE "C" NOT NULL,
  slot INTEGER NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (project, slot)
) WITH (fillfactor = 50);
INSERT INTO stored_bytes SELECT project, 0, sum(stored_bytes) FROM executions GROUP BY project;

-- In the order of projects, so that two statements never wait for each other.
CREATE FUNCTION count_added_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stored_bytes AS counted
  SELECT project, pg_backend_pid() % 64, sum(stored_bytes) FROM added GROUP BY project ORDER BY project
  ON CONFLICT (project, slot) DO UPDATE SET bytes = counted.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE TRIGGER executions_counted AFTER INSERT ON executions REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION count_added_bytes();

CREATE FUNCTION count_removed_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stored_bytes AS counted
  SELECT project, pg_backend_pid() % 64, -sum(stored_bytes) FROM removed GROUP BY project ORDER BY project
  ON CONFLICT (project, slot) DO UPDATE SET bytes = counted.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE TRIGGER executions_uncounted AFTER DELETE ON executions REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION count_removed_bytes();

-- Most updates change no size, and cost nothing here.
CREATE FUNCTION count_changed_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stored_bytes AS counted
  VALUES (NEW.project, pg_backend_pid() % 64, NEW.stored_bytes - OLD.stored_bytes)
  ON CONFLICT (project, slot) DO UPDATE SET bytes = counted.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE TRIGGER executions_recounted AFTER UPDATE ON executions FOR EACH ROW
  WHEN (OLD.stored_bytes <> NEW.stored_bytes) EXECUTE FUNCTION count_changed_bytes();

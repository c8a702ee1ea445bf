-- An execution that repeats one which ended through our own fault names it, and which repetition it is; of two that are
-- asked for at the same time the index lets one in.
ALTER TABLE executions
  ADD COLUMN retry_of TEXT COLLATE "C",
  ADD COLUMN retry_number BIGINT,
  ADD CONSTRAINT retry_has_a_number CHECK ((retry_of IS NULL) = (retry_number IS NULL));
CREATE UNIQUE INDEX executions_retries ON executions (retry_of, retry_number) WHERE retry_of IS NOT NULL;
CREATE INDEX executions_dead_letters ON executions (execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed');

ALTER TABLE executions ADD COLUMN retry_of TEXT;
ALTER TABLE executions ADD COLUMN retry_number INTEGER;
CREATE UNIQUE INDEX executions_retries ON executions (retry_of, retry_number) WHERE retry_of IS NOT NULL;
CREATE INDEX executions_dead_letters ON executions (execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed');

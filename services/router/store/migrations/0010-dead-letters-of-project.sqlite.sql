CREATE INDEX executions_by_project_and_status ON executions (project, status, execution_id);
CREATE INDEX executions_dead_letters_of_project ON executions (project, execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed');

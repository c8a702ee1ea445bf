-- A project's dead letters are found without a look at its other executions, or at other projects' dead letters.
CREATE INDEX executions_dead_letters_of_project ON executions (project, execution_id)
  WHERE end_reason IN ('output_withheld', 'worker_lost', 'start_failed');

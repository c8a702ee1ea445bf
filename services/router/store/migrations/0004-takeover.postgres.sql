-- Where an execution runs, as JSON: what a router that takes it over has to know.
ALTER TABLE executions ADD COLUMN granted TEXT;

ALTER TABLE executions ADD COLUMN granted TEXT;

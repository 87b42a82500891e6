-- What an execution was started with, and by what: the inputs as given, its labels, what 'trigger' shows where no bucket started it
-- (JSON, NULL where objects did), and the execution whose task started this one.
ALTER TABLE execution ADD COLUMN inputs TEXT NOT NULL DEFAULT '{}';
ALTER TABLE execution ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE execution ADD COLUMN variables TEXT;
ALTER TABLE execution ADD COLUMN parent_id TEXT;

-- When a paused execution goes on by itself; NULL while only an operator can make it.
ALTER TABLE execution ADD COLUMN resume_at TEXT;

-- The execution has ended and its afterExecution tasks have not been run to their end yet.
ALTER TABLE execution ADD COLUMN after_pending INTEGER NOT NULL DEFAULT 0;
CREATE INDEX execution_after ON execution (after_pending) WHERE after_pending = 1;

-- A paused execution is a live one.
DROP INDEX execution_live;
CREATE INDEX execution_live ON execution (trigger_key, batch_id) WHERE state IN ('CREATED', 'RUNNING', 'PAUSED');

-- The value of the loop a task runs in and its number; and what a task decided when it began, never to be decided again: the values
-- of a loop, the branch taken, the moment a pause is over.
ALTER TABLE task_run ADD COLUMN value TEXT;
ALTER TABLE task_run ADD COLUMN iteration INTEGER;
ALTER TABLE task_run ADD COLUMN decision TEXT;

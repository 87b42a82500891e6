-- name: note_execution
UPDATE execution SET inputs = :inputs, labels = :labels WHERE id = :id AND state IN ('CREATED', 'RUNNING', 'PAUSED');

-- name: pause_execution
UPDATE execution SET state = 'PAUSED', resume_at = :resume_at WHERE id = :id AND state IN ('RUNNING', 'PAUSED');

-- name: unpause_execution
UPDATE execution SET state = 'RUNNING', resume_at = NULL WHERE id = :id AND state = 'PAUSED';

-- name: executions_to_finish
SELECT * FROM execution WHERE after_pending = 1;

-- name: finish_execution
UPDATE execution SET after_pending = 0 WHERE id = :id AND after_pending = 1;

-- name: decide_task_run
UPDATE task_run SET decision = :decision
WHERE execution_id = :execution_id AND task_path = :task_path AND attempt = :attempt AND state = 'RUNNING';

-- name: request_kill_of_children
UPDATE execution SET kill_requested = 1 WHERE parent_id = :parent_id AND state IN ('CREATED', 'RUNNING', 'PAUSED');

-- name: error_lines
SELECT * FROM log WHERE execution_id = :execution_id AND level = 'ERROR' AND task_path <> '' ORDER BY line LIMIT :limit;

-- 'state IN (…)' beside 'state = …' is what lets SQLite use the partial index of live executions.

-- name: insert_flow
INSERT INTO flow (namespace, flow_id, revision, source, created_at)
VALUES (:namespace, :flow_id, :revision, :source, :created_at);

-- name: latest_flow
SELECT revision, source FROM flow WHERE namespace = :namespace AND flow_id = :flow_id ORDER BY revision DESC LIMIT 1;

-- name: latest_flows
SELECT namespace, flow_id, source FROM flow f
WHERE revision = (SELECT MAX(revision) FROM flow WHERE namespace = f.namespace AND flow_id = f.flow_id);

-- name: flow_revision
SELECT revision, source FROM flow WHERE namespace = :namespace AND flow_id = :flow_id AND revision = :revision;

-- name: last_ended
SELECT COALESCE(MAX(ended_seq), 0) AS value FROM detection;

-- name: seen_between
SELECT object_key, etag, last_modified, absent FROM seen
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key >= :first AND object_key <= :last;

-- name: upsert_seen
INSERT INTO seen (trigger_key, bucket, object_key, etag, last_modified, absent)
VALUES (:trigger_key, :bucket, :object_key, :etag, :last_modified, 0)
ON CONFLICT (trigger_key, bucket, object_key)
DO UPDATE SET etag = excluded.etag, last_modified = excluded.last_modified, absent = 0;

-- name: delete_seen
DELETE FROM seen WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key;

-- name: set_absent
UPDATE seen SET absent = :absent WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key;

-- name: live_between
SELECT * FROM detection
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key >= :first AND object_key <= :last
  AND state NOT IN ('DONE', 'SUPERSEDED', 'GONE');

-- name: ended_since
SELECT object_key FROM detection
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key >= :first AND object_key <= :last
  AND ended_seq > :poll_seq;

-- name: insert_detection
INSERT INTO detection (id, trigger_key, batch_id, ordinal, flow_revision, bucket, object_key, etag, size, last_modified, version_id,
                       change_type, action, state, dest_bucket, dest_key, uri, sha256, ended_seq, error, captures, marker, updated_at)
VALUES (:id, :trigger_key, :batch_id, :ordinal, :flow_revision, :bucket, :object_key, :etag, :size, :last_modified, :version_id,
        :change_type, :action, :state, :dest_bucket, :dest_key, :uri, :sha256, :ended_seq, :error, :captures, :marker, :updated_at)
ON CONFLICT DO NOTHING;

-- name: due_detections
-- What was read waits for the rest of its batch: there may be more of it than a page, and behind it what is to be read.
SELECT * FROM detection
WHERE trigger_key = :trigger_key AND state IN ('CLAIMED', 'STORED', 'COPIED') AND (next_try IS NULL OR next_try <= :now)
  AND (state = 'CLAIMED' OR batch_id NOT IN (
    SELECT batch_id FROM detection
    WHERE trigger_key = :trigger_key AND state IN ('CLAIMED', 'STORED', 'COPIED') AND state = 'CLAIMED'
  ))
ORDER BY batch_id, ordinal LIMIT :limit;

-- name: failing_detections
SELECT COUNT(*) AS number, MIN(CASE WHEN next_try > :now THEN next_try END) AS next_try FROM detection
WHERE trigger_key = :trigger_key AND state IN ('CLAIMED', 'STORED', 'COPIED') AND attempts > 0;

-- name: unfinished_detections
SELECT id FROM detection WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('CLAIMED', 'STORED', 'COPIED');

-- name: live_triggers
SELECT DISTINCT trigger_key, MAX(flow_revision) AS flow_revision FROM detection
WHERE state IN ('CLAIMED', 'STORED', 'COPIED') GROUP BY trigger_key;

-- name: untouched_triggers
SELECT DISTINCT trigger_key FROM detection WHERE state IN ('CLAIMED', 'STORED', 'COPIED') AND next_try IS NULL;

-- name: detection
SELECT * FROM detection WHERE id = :id;

-- name: bound_for
SELECT id, dest_key FROM detection WHERE dest_bucket = :bucket AND (dest_key = :object_key OR id = :id)
UNION ALL
SELECT id, dest_key FROM route WHERE dest_bucket = :bucket AND dest_key = :object_key;

-- name: batch_detections
SELECT * FROM detection WHERE batch_id = :batch_id ORDER BY ordinal;

-- name: count_detections
SELECT trigger_key, state, blocked, COUNT(*) AS number FROM detection GROUP BY trigger_key, state, blocked;

-- name: store_detection
UPDATE detection SET state = :state, uri = :uri, sha256 = :sha256, version_id = :version_id, attempts = 0, next_try = NULL,
       error = NULL, ended_seq = :ended_seq, action_since = :updated_at, updated_at = :updated_at
WHERE id = :id AND state = 'CLAIMED';

-- name: copy_detection
UPDATE detection SET state = 'COPIED', dest_bucket = :dest_bucket, dest_key = :dest_key, dest_etag = :dest_etag, attempts = 0,
       next_try = NULL, error = NULL, updated_at = :updated_at
WHERE id = :id AND state = 'STORED';

-- name: finish_detection
UPDATE detection SET state = 'DONE', next_try = NULL, error = :remark, blocked = 0, ended_seq = :ended_seq, updated_at = :updated_at
WHERE id = :id AND state IN ('STORED', 'COPIED');

-- name: close_detection
UPDATE detection SET state = :state, error = :error, next_try = :next_try, ended_seq = :ended_seq, updated_at = :updated_at
WHERE id = :id AND state = 'CLAIMED';

-- name: gone_before
SELECT id FROM detection
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key AND etag = :etag AND last_modified = :last_modified
  AND state = 'GONE' LIMIT 1;

-- name: yield_detection
UPDATE detection SET state = 'SUPERSEDED', error = 'another content was uploaded at the key', next_try = NULL, blocked = 0,
       ended_seq = :ended_seq, updated_at = :updated_at
WHERE id = :id AND (state = 'PARKED' OR (state IN ('STORED', 'COPIED') AND blocked = 1));

-- name: vanish_detection
UPDATE detection SET state = 'GONE', updated_at = :updated_at
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key AND state = 'PARKED';

-- name: postpone_detection
UPDATE detection SET attempts = attempts + 1, next_try = :next_try, error = :error, updated_at = :updated_at
WHERE id = :id AND state IN ('CLAIMED', 'STORED', 'COPIED');

-- name: leave_batch
UPDATE detection SET batch_id = :new_batch_id, ordinal = 0
WHERE id = :id AND state = 'CLAIMED' AND EXISTS (
    SELECT 1 FROM detection other WHERE other.batch_id = :batch_id AND other.id <> :id AND other.state <> 'PARKED'
) AND NOT EXISTS (SELECT 1 FROM detection marker WHERE marker.batch_id = :batch_id AND marker.marker = 1);

-- name: block_detection
UPDATE detection SET blocked = 1, error = :error, updated_at = :updated_at WHERE id = :id AND state IN ('STORED', 'COPIED');

-- name: count_batch
SELECT SUM(CASE WHEN state = 'CLAIMED' THEN 1 ELSE 0 END) AS claimed,
       SUM(CASE WHEN uri IS NOT NULL AND marker = 0 THEN 1 ELSE 0 END) AS stored,
       SUM(CASE WHEN state IN ('CLAIMED', 'STORED', 'COPIED') AND blocked = 0 THEN 1 ELSE 0 END) AS waiting
FROM detection WHERE batch_id = :batch_id;

-- name: insert_execution
INSERT INTO execution (id, batch_id, namespace, flow_id, flow_revision, trigger_key, trigger_type, state, held, created_at, original_id,
                       inputs, labels, variables, parent_id)
VALUES (:id, :batch_id, :namespace, :flow_id, :flow_revision, :trigger_key, :trigger_type, 'CREATED', :held, :created_at, :original_id,
        :inputs, :labels, :variables, :parent_id)
ON CONFLICT DO NOTHING;

-- name: release_execution
UPDATE execution SET held = 0 WHERE batch_id = :batch_id AND held = 1;

-- name: live_batches
SELECT COUNT(*) AS number FROM (
    SELECT batch_id FROM detection WHERE trigger_key = :trigger_key AND state IN ('CLAIMED', 'STORED', 'COPIED') AND attempts = 0
    UNION
    SELECT batch_id FROM execution
    WHERE trigger_key = :trigger_key AND state IN ('CREATED', 'RUNNING', 'PAUSED') AND held = 0 AND next_try IS NULL
) AS live;

-- name: waiting_executions
SELECT COUNT(*) AS number FROM execution
WHERE trigger_key = :trigger_key AND state IN ('CREATED', 'RUNNING', 'PAUSED') AND state = 'CREATED' AND next_try IS NOT NULL;

-- name: runnable_executions
-- The first of each trigger: the rest could not start before them, and must not hide those of other triggers.
SELECT e.*, EXISTS (
    SELECT 1 FROM detection d
    WHERE d.trigger_key = e.trigger_key AND d.batch_id < e.batch_id AND d.state IN ('CLAIMED', 'STORED', 'COPIED')
      AND d.attempts = 0 AND d.blocked = 0
) AS behind
FROM (SELECT DISTINCT trigger_key FROM execution WHERE state IN ('CREATED', 'RUNNING', 'PAUSED')) AS t
JOIN execution e ON e.id IN (
    SELECT id FROM execution
    WHERE trigger_key = t.trigger_key AND state IN ('CREATED', 'RUNNING', 'PAUSED') AND state = 'CREATED' AND held = 0
      AND (next_try IS NULL OR next_try <= :now)
    ORDER BY batch_id, created_at LIMIT :each
)
ORDER BY e.batch_id, e.created_at;

-- name: start_execution
UPDATE execution SET state = 'RUNNING', attempts = attempts + 1, next_try = NULL, started_at = COALESCE(started_at, :now)
WHERE id = :id AND state = 'CREATED' AND held = 0;

-- name: requeue_execution
UPDATE execution SET state = 'CREATED', resume_at = NULL, attempts = attempts - :uncounted
WHERE id = :id AND state IN ('CREATED', 'RUNNING', 'PAUSED') AND state <> 'CREATED';

-- name: running_executions
SELECT * FROM execution WHERE state IN ('CREATED', 'RUNNING', 'PAUSED') AND state <> 'CREATED';

-- name: executions_to_kill
SELECT * FROM execution WHERE state IN ('CREATED', 'RUNNING', 'PAUSED') AND kill_requested = 1;

-- name: end_execution
UPDATE execution SET state = :state, ended_at = :now, outputs = :outputs, error = :error, after_pending = :after_pending,
       resume_at = NULL
WHERE id = :id AND state IN ('CREATED', 'RUNNING', 'PAUSED');

-- name: request_kill
UPDATE execution SET kill_requested = 1 WHERE id = :id AND state IN ('CREATED', 'RUNNING', 'PAUSED');

-- name: execution
SELECT * FROM execution WHERE id = :id;

-- name: execution_by_prefix
SELECT * FROM execution WHERE id >= :first AND id < :last ORDER BY id LIMIT 2;

-- name: list_executions
SELECT * FROM execution
WHERE (:state IS NULL OR state = :state) AND (:flow IS NULL OR flow_id = :flow OR namespace || '.' || flow_id = :flow)
ORDER BY created_at DESC, batch_id DESC LIMIT :limit;

-- name: expired_executions
SELECT * FROM execution e
WHERE ended_at < :before AND after_pending = 0 AND state IN (SELECT value FROM json_each(:states))
  AND NOT EXISTS (
    SELECT 1 FROM detection d WHERE d.batch_id = e.batch_id AND d.state IN ('CLAIMED', 'STORED', 'COPIED')
  )
  AND NOT EXISTS (
    SELECT 1 FROM route r JOIN detection d ON d.id = r.detection_id
    WHERE d.batch_id = e.batch_id AND r.state IN ('PENDING', 'PLACED')
  )
  AND (original_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM execution r WHERE r.batch_id = e.batch_id AND r.id <> e.id))
ORDER BY ended_at LIMIT :limit;

-- name: delete_execution
DELETE FROM execution
WHERE id = :id AND (
    original_id IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM execution r WHERE r.batch_id = execution.batch_id AND r.id <> execution.id)
);

-- name: delete_task_runs
DELETE FROM task_run WHERE execution_id = :id;

-- name: delete_logs
DELETE FROM log WHERE execution_id = :id;

-- name: delete_detections
DELETE FROM detection WHERE batch_id = :batch_id AND state IN ('DONE', 'SUPERSEDED', 'GONE')
  AND NOT EXISTS (SELECT 1 FROM execution e WHERE e.batch_id = :batch_id);

-- name: unread_batches
SELECT batch_id, MIN(trigger_key) AS trigger_key FROM detection d
WHERE state IN ('DONE', 'SUPERSEDED', 'GONE') AND NOT EXISTS (SELECT 1 FROM execution e WHERE e.batch_id = d.batch_id)
GROUP BY batch_id
HAVING MAX(updated_at) < :before
   AND NOT EXISTS (
     SELECT 1 FROM detection o WHERE o.batch_id = d.batch_id AND o.state NOT IN ('DONE', 'SUPERSEDED', 'GONE')
   )
LIMIT :limit;

-- name: count_executions
SELECT state, COUNT(*) AS number FROM execution GROUP BY state;

-- name: insert_task_run
INSERT INTO task_run (execution_id, task_path, attempt, state, started_at, value, iteration, decision)
VALUES (:execution_id, :task_path, :attempt, 'RUNNING', :now, :value, :iteration, :decision);

-- name: end_task_run
UPDATE task_run SET state = :state, ended_at = :now, outputs = :outputs, error = :error
WHERE execution_id = :execution_id AND task_path = :task_path AND attempt = :attempt AND state = 'RUNNING';

-- name: interrupt_task_runs
UPDATE task_run SET state = 'INTERRUPTED', ended_at = :now WHERE execution_id = :execution_id AND state = 'RUNNING';

-- name: kill_task_runs
UPDATE task_run SET state = 'KILLED', ended_at = :now WHERE execution_id = :execution_id AND state = 'RUNNING';

-- name: task_runs
SELECT * FROM task_run WHERE execution_id = :execution_id ORDER BY started_at, task_path, attempt;

-- name: last_log_line
SELECT COALESCE(MAX(line), 0) AS value FROM log WHERE execution_id = :execution_id;

-- name: insert_log
INSERT INTO log (execution_id, line, task_path, attempt, at, level, message)
VALUES (:execution_id, :line, :task_path, :attempt, :at, :level, :message);

-- name: log_lines
SELECT * FROM log WHERE execution_id = :execution_id AND line > :after ORDER BY line LIMIT :limit;

-- name: trigger_status
SELECT * FROM trigger_status;

-- name: trigger_standing
SELECT paused, begun_at FROM trigger_status WHERE trigger_key = :trigger_key;

-- name: pause_trigger
INSERT INTO trigger_status (trigger_key, paused) VALUES (:trigger_key, :paused)
ON CONFLICT (trigger_key) DO UPDATE SET paused = excluded.paused;

-- name: report_trigger
INSERT INTO trigger_status (trigger_key, cause, message, hint, since) VALUES (:trigger_key, :cause, :message, :hint, :since)
ON CONFLICT (trigger_key) DO UPDATE SET cause = excluded.cause, message = excluded.message, hint = excluded.hint, since = excluded.since;

-- name: insert_route
INSERT INTO route (id, detection_id, trigger_key, execution_id, purpose, state, dest_bucket, dest_key, created_at, updated_at)
VALUES (:id, :detection_id, :trigger_key, :execution_id, :purpose, 'PENDING', :dest_bucket, :dest_key, :created_at, :created_at);

-- name: execution_detections
SELECT d.id, d.trigger_key FROM detection d JOIN execution e ON e.batch_id = d.batch_id
WHERE e.id = :id AND d.uri IS NOT NULL ORDER BY d.ordinal;

-- name: due_routes
-- One object goes one way at a time, and no trigger waits behind the many routes of another.
SELECT * FROM (
    SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.trigger_key ORDER BY r.next_try IS NOT NULL, r.id) AS turn
    FROM route r JOIN detection d ON d.id = r.detection_id
    WHERE r.state IN ('PENDING', 'PLACED') AND d.state NOT IN ('CLAIMED', 'STORED', 'COPIED')
      AND (r.next_try IS NULL OR r.next_try <= :now)
      AND NOT EXISTS (
        SELECT 1 FROM route e WHERE e.detection_id = r.detection_id AND e.id < r.id AND e.state IN ('PENDING', 'PLACED')
      )
) AS due
ORDER BY turn, id LIMIT :limit;

-- name: next_route
SELECT MIN(next_try) AS moment FROM route WHERE state IN ('PENDING', 'PLACED') AND next_try > :now;

-- name: untried_routes
SELECT COUNT(*) AS number FROM route r JOIN detection d ON d.id = r.detection_id
WHERE r.state IN ('PENDING', 'PLACED') AND r.next_try IS NULL AND d.state NOT IN ('CLAIMED', 'STORED', 'COPIED')
  AND NOT EXISTS (
    SELECT 1 FROM route e WHERE e.detection_id = r.detection_id AND e.id < r.id AND e.state IN ('PENDING', 'PLACED')
  );

-- name: routes_of
SELECT * FROM route WHERE detection_id = :detection_id ORDER BY id;

-- name: last_route
SELECT purpose, state FROM route WHERE detection_id = :detection_id ORDER BY id DESC LIMIT 1;

-- name: forget_content
DELETE FROM seen
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key AND etag = :etag AND last_modified = :last_modified;

-- name: aim_route
UPDATE route SET dest_bucket = :dest_bucket, dest_key = :dest_key, updated_at = :updated_at
WHERE id = :id AND state = 'PENDING' AND dest_key IS NULL;

-- name: place_route
UPDATE route SET state = 'PLACED', dest_bucket = :dest_bucket, dest_key = :dest_key, dest_etag = :dest_etag, attempts = 0,
       next_try = NULL, error = NULL, updated_at = :updated_at
WHERE id = :id AND state = 'PENDING';

-- name: finish_route
UPDATE route SET state = 'DONE', next_try = NULL, error = NULL, updated_at = :updated_at WHERE id = :id AND state = 'PLACED';

-- name: postpone_route
UPDATE route SET attempts = attempts + 1, next_try = :next_try, error = :error, updated_at = :updated_at
WHERE id = :id AND state IN ('PENDING', 'PLACED');

-- name: hasten_routes
UPDATE route SET next_try = NULL WHERE detection_id = :detection_id AND state IN ('PENDING', 'PLACED');

-- name: delete_routes
DELETE FROM route WHERE detection_id IN (SELECT id FROM detection WHERE batch_id = :batch_id)
  AND NOT EXISTS (SELECT 1 FROM execution e WHERE e.batch_id = :batch_id);

-- name: retry_execution
UPDATE execution SET state = 'CREATED', next_try = :next_try, error = :error WHERE id = :id AND state = 'RUNNING';

-- name: retry_task_run
UPDATE task_run SET state = 'RETRIED' WHERE execution_id = :execution_id AND task_path = :task_path AND attempt = :attempt;

-- name: unfinished_executions
-- Not one that only an operator can resume; one whose last tasks come after its end is.
SELECT (
    SELECT COUNT(*) FROM execution WHERE state IN ('CREATED', 'RUNNING', 'PAUSED')
    AND (state = 'RUNNING' OR (state = 'CREATED' AND held = 0) OR (state = 'PAUSED' AND resume_at IS NOT NULL))
) + (SELECT COUNT(*) FROM execution WHERE after_pending = 1) AS number;

-- name: next_execution
SELECT MIN(next_try) AS moment FROM execution
WHERE state IN ('CREATED', 'RUNNING', 'PAUSED') AND state = 'CREATED' AND held = 0 AND next_try > :now;

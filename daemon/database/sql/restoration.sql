-- name: all_detections
SELECT * FROM detection ORDER BY id;

-- name: execution_states
SELECT id, state, trigger_type = '' OR variables IS NOT NULL AS without_objects, EXISTS (
    SELECT 1 FROM detection d WHERE d.batch_id = e.batch_id AND d.uri IS NOT NULL
) AS has_objects
FROM execution e;

-- name: end_older_claim
UPDATE detection SET state = CASE WHEN uri IS NULL THEN 'SUPERSEDED' ELSE 'DONE' END, next_try = NULL, blocked = 0,
       ended_seq = :ended_seq, updated_at = :updated_at
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key AND id < :id
  AND state NOT IN ('DONE', 'SUPERSEDED', 'GONE');

-- name: live_claim_after
SELECT id FROM detection
WHERE trigger_key = :trigger_key AND bucket = :bucket AND object_key = :object_key AND id > :id
  AND state NOT IN ('DONE', 'SUPERSEDED', 'GONE');

-- name: restore_detection
INSERT INTO detection (id, trigger_key, batch_id, ordinal, flow_revision, bucket, object_key, etag, size, last_modified, version_id,
                       change_type, action, state, dest_bucket, dest_key, uri, sha256, action_since, ended_seq, captures, marker,
                       updated_at)
VALUES (:id, :trigger_key, :batch_id, :ordinal, :flow_revision, :bucket, :object_key, :etag, :size, :last_modified, :version_id,
        :change_type, :action, :state, :dest_bucket, :dest_key, :uri, :sha256, :updated_at, :ended_seq, :captures, :marker,
        :updated_at)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, batch_id = excluded.batch_id, ordinal = excluded.ordinal, uri = excluded.uri,
       sha256 = excluded.sha256, version_id = excluded.version_id, attempts = 0, next_try = NULL, error = NULL,
       action_since = excluded.action_since, ended_seq = excluded.ended_seq, updated_at = excluded.updated_at
WHERE detection.state = 'CLAIMED';

-- name: unread_of_batch
SELECT id FROM detection WHERE batch_id = :batch_id AND state = 'CLAIMED';

-- name: move_to_batch
UPDATE detection SET batch_id = :batch_id, ordinal = 0 WHERE id = :id AND state = 'CLAIMED';

-- name: doubt_execution
UPDATE execution SET state = 'FAILED', held = 0, ended_at = :now, error = :error
WHERE id = :id AND state IN ('CREATED', 'RUNNING', 'PAUSED');

-- name: list_objects
SELECT d.id, d.trigger_key, d.bucket, d.object_key, d.etag, d.version_id, d.size, d.last_modified, d.change_type, d.action, d.batch_id,
       d.attempts, d.next_try, d.uri, d.sha256, d.dest_bucket, d.dest_key, d.updated_at,
       CASE WHEN r.purpose = 'FAILURE' AND r.state = 'DONE' THEN 'QUARANTINED'
            WHEN d.blocked = 1 AND d.state IN ('STORED', 'COPIED') THEN 'ACTION_BLOCKED' ELSE d.state END AS state,
       COALESCE(r.error, d.error) AS error, r.purpose AS route_purpose, r.state AS route_state, r.dest_bucket AS route_bucket,
       r.dest_key AS route_key, r.attempts AS route_attempts, r.next_try AS route_next_try
FROM detection d
LEFT JOIN route r ON r.id = (SELECT MAX(id) FROM route WHERE detection_id = d.id)
WHERE (:first IS NULL OR (d.id >= :first AND d.id < :last))
  AND (:trigger_key IS NULL OR d.trigger_key = :trigger_key)
  AND (:key IS NULL OR d.object_key = :key)
  AND (:prefix IS NULL OR substr(d.object_key, 1, length(:prefix)) = :prefix)
  AND (:state IS NULL OR :state = CASE WHEN r.purpose = 'FAILURE' AND r.state = 'DONE' THEN 'QUARANTINED'
       WHEN d.blocked = 1 AND d.state IN ('STORED', 'COPIED') THEN 'ACTION_BLOCKED' ELSE d.state END)
ORDER BY d.id DESC LIMIT :limit;

-- name: count_quarantined
SELECT r.trigger_key, COUNT(*) AS number FROM route r
WHERE r.purpose = 'FAILURE' AND r.state = 'DONE' AND r.id = (SELECT MAX(id) FROM route WHERE detection_id = r.detection_id)
GROUP BY r.trigger_key;

-- name: release_detection
UPDATE detection SET state = 'SUPERSEDED', error = 'an operator had it taken up again', next_try = NULL, ended_seq = :ended_seq,
       updated_at = :updated_at
WHERE id = :id AND state = 'PARKED';

-- name: hasten_detection
UPDATE detection SET next_try = :now WHERE id = :id AND state IN ('CLAIMED', 'STORED', 'COPIED') AND next_try > :now;

-- name: reconsider_parked
UPDATE detection SET next_try = :now WHERE trigger_key = :trigger_key AND state = 'PARKED' AND flow_revision < :flow_revision;

-- name: shared_copy
-- Only the same bytes share a copy, and what has gone on from the archive since has none there.
SELECT d.id FROM detection d
WHERE d.dest_bucket = :dest_bucket AND d.dest_key = :dest_key AND d.sha256 = :sha256 AND d.id <> :id
  AND d.state IN ('STORED', 'COPIED', 'DONE')
  AND NOT EXISTS (SELECT 1 FROM route r WHERE r.detection_id = d.id AND r.state = 'DONE')
LIMIT 1;

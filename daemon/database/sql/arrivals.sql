-- name: begin_trigger
INSERT INTO trigger_status (trigger_key, begun_at) VALUES (:trigger_key, :begun_at)
ON CONFLICT (trigger_key) DO UPDATE SET begun_at = COALESCE(trigger_status.begun_at, excluded.begun_at);

-- name: batch_markers
SELECT id, trigger_key, bucket, object_key FROM detection WHERE batch_id = :batch_id AND marker = 1;

-- name: give_back_marker
UPDATE detection SET state = 'SUPERSEDED', error = 'none of the objects of its set could be taken', ended_seq = :ended_seq,
       updated_at = :updated_at
WHERE id = :id AND state = 'STORED';

-- name: schedules
SELECT * FROM schedule;

-- name: begin_schedule
INSERT INTO schedule (trigger_key, definition, last_date) VALUES (:trigger_key, :definition, :last_date)
ON CONFLICT (trigger_key) DO UPDATE SET definition = excluded.definition, last_date = excluded.last_date
WHERE schedule.definition <> excluded.definition;

-- name: advance_schedule
UPDATE schedule SET last_date = :last_date WHERE trigger_key = :trigger_key AND last_date < :last_date;

-- name: renew_schedule
-- What came due while it was paused is not made up for.
UPDATE schedule SET last_date = :now
WHERE trigger_key = :trigger_key AND last_date < :now
  AND EXISTS (SELECT 1 FROM trigger_status s WHERE s.trigger_key = :trigger_key AND s.paused = 1);

-- name: forget_schedule
DELETE FROM schedule WHERE trigger_key = :trigger_key;

-- name: live_executions
SELECT COUNT(*) AS number FROM execution WHERE trigger_key = :trigger_key AND state IN ('CREATED', 'RUNNING', 'PAUSED');

-- name: unannounced_executions
SELECT id, state, depth, ended_at FROM execution
WHERE state NOT IN ('CREATED', 'RUNNING') AND COALESCE(announced, '') <> state
ORDER BY created_at LIMIT :limit;

-- name: announce_execution
UPDATE execution SET announced = :state WHERE id = :id AND COALESCE(announced, '') <> :state;

-- name: announce_all_executions
UPDATE execution SET announced = state WHERE state NOT IN ('CREATED', 'RUNNING') AND COALESCE(announced, '') <> state;

-- name: deepen_execution
UPDATE execution SET depth = :depth WHERE id = :id;

-- name: met
SELECT * FROM met WHERE trigger_key = :trigger_key;

-- name: meet
INSERT INTO met (trigger_key, requirement, part, execution_id, met_at)
VALUES (:trigger_key, :requirement, :part, :execution_id, :met_at)
ON CONFLICT (trigger_key, requirement, part) DO UPDATE SET execution_id = excluded.execution_id, met_at = excluded.met_at;

-- name: reset_met
DELETE FROM met WHERE trigger_key = :trigger_key AND requirement = :requirement;

-- name: stop_orders
SELECT trigger_key, stop_after FROM trigger_status WHERE stop_after <> '';

-- name: order_stop
INSERT INTO trigger_status (trigger_key, stop_after) VALUES (:trigger_key, :stop_after)
ON CONFLICT (trigger_key) DO UPDATE SET stop_after = excluded.stop_after;

-- name: stop_trigger
UPDATE trigger_status SET paused = 1, stopped_by = :id
WHERE trigger_key = (SELECT trigger_key FROM execution WHERE id = :id) AND paused = 0 AND stop_after LIKE '% ' || :state || ' %';

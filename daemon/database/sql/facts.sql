-- name: fact
SELECT value FROM fact WHERE name = :fact;

-- name: set_fact
INSERT INTO fact (name, value) VALUES (:fact, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: advance_generation
INSERT INTO fact (name, value) VALUES ('generation', '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(fact.value AS INTEGER) + 1 AS TEXT)
RETURNING value;

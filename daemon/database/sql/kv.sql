-- name: all_values
SELECT namespace, entry_key, value, description, expires_at FROM kv ORDER BY namespace, entry_key;

-- name: set_value
INSERT INTO kv (namespace, entry_key, value, description, expires_at, updated_at)
VALUES (:namespace, :entry_key, :value, :description, :expires_at, :updated_at)
ON CONFLICT (namespace, entry_key) DO UPDATE
SET value = excluded.value, description = excluded.description, expires_at = excluded.expires_at,
    updated_at = excluded.updated_at;

-- name: delete_value
DELETE FROM kv WHERE namespace = :namespace AND entry_key = :entry_key;

-- name: delete_expired_values
DELETE FROM kv WHERE expires_at <= :now;

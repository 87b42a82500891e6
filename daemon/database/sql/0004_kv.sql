-- The key/value stores of namespaces; a value is JSON.
CREATE TABLE kv (
    namespace    TEXT NOT NULL,
    entry_key    TEXT NOT NULL,
    value        TEXT NOT NULL,
    description  TEXT,
    expires_at   TEXT,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (namespace, entry_key)
) WITHOUT ROWID;

-- Times are UTC ISO-8601 text, flags 0 or 1, maps JSON text: the same in every database.

CREATE TABLE flow (
    namespace   TEXT NOT NULL,
    flow_id     TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    source      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (namespace, flow_id, revision)
);

CREATE TABLE detection (
    id             TEXT PRIMARY KEY,
    trigger_key    TEXT NOT NULL,
    batch_id       TEXT NOT NULL,
    ordinal        INTEGER NOT NULL,
    flow_revision  INTEGER NOT NULL,
    bucket         TEXT NOT NULL,
    object_key     TEXT NOT NULL,
    etag           TEXT NOT NULL,
    size           INTEGER NOT NULL,
    last_modified  TEXT NOT NULL,
    version_id     TEXT,
    change_type    TEXT NOT NULL,
    action         TEXT NOT NULL,
    state          TEXT NOT NULL,
    dest_bucket    TEXT,
    dest_key       TEXT,
    uri            TEXT,
    sha256         TEXT,
    attempts       INTEGER NOT NULL DEFAULT 0,
    next_try       TEXT,
    action_since   TEXT,
    blocked        INTEGER NOT NULL DEFAULT 0,
    error          TEXT,
    ended_seq      INTEGER,
    updated_at     TEXT NOT NULL
);
-- One live claim per key: this index is the claim (reliability.md §3.1).
CREATE UNIQUE INDEX detection_claim ON detection (trigger_key, bucket, object_key)
    WHERE state NOT IN ('DONE', 'SUPERSEDED', 'GONE');
CREATE INDEX detection_batch ON detection (batch_id);
CREATE INDEX detection_live ON detection (trigger_key, batch_id) WHERE state IN ('CLAIMED', 'STORED', 'COPIED');
CREATE INDEX detection_ended ON detection (trigger_key, bucket, object_key, ended_seq);

-- What has been claimed of the objects believed to be in the bucket still.
CREATE TABLE seen (
    trigger_key    TEXT NOT NULL,
    bucket         TEXT NOT NULL,
    object_key     TEXT NOT NULL,
    etag           TEXT NOT NULL,
    last_modified  TEXT NOT NULL,
    absent         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (trigger_key, bucket, object_key)
);

CREATE TABLE execution (
    id              TEXT PRIMARY KEY,
    batch_id        TEXT NOT NULL,
    namespace       TEXT NOT NULL,
    flow_id         TEXT NOT NULL,
    flow_revision   INTEGER NOT NULL,
    trigger_key     TEXT NOT NULL,
    trigger_type    TEXT NOT NULL,
    state           TEXT NOT NULL,
    held            INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT NOT NULL,
    started_at      TEXT,
    ended_at        TEXT,
    original_id     TEXT,
    outputs         TEXT NOT NULL DEFAULT '{}',
    error           TEXT,
    kill_requested  INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX execution_batch ON execution (batch_id) WHERE original_id IS NULL;
CREATE INDEX execution_live ON execution (trigger_key, batch_id) WHERE state IN ('CREATED', 'RUNNING');
CREATE INDEX execution_created ON execution (created_at);

CREATE TABLE task_run (
    execution_id  TEXT NOT NULL,
    task_path     TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    state         TEXT NOT NULL,
    started_at    TEXT NOT NULL,
    ended_at      TEXT,
    outputs       TEXT NOT NULL DEFAULT '{}',
    error         TEXT,
    PRIMARY KEY (execution_id, task_path, attempt)
);

CREATE TABLE log (
    execution_id  TEXT NOT NULL,
    line          INTEGER NOT NULL,
    task_path     TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    at            TEXT NOT NULL,
    level         TEXT NOT NULL,
    message       TEXT NOT NULL,
    PRIMARY KEY (execution_id, line)
);

CREATE TABLE trigger_status (
    trigger_key  TEXT PRIMARY KEY,
    paused       INTEGER NOT NULL DEFAULT 0,
    cause        TEXT,
    message      TEXT,
    hint         TEXT,
    since        TEXT
);

-- What the rules of an arrival took from the key, and whether the object is the marker that completed a set.
ALTER TABLE detection ADD COLUMN captures TEXT NOT NULL DEFAULT '{}';
ALTER TABLE detection ADD COLUMN marker INTEGER NOT NULL DEFAULT 0;

-- The archived copy's ETag, so that what happens to it later means this content and no other.
ALTER TABLE detection ADD COLUMN dest_etag TEXT;
-- Objects of the same bytes may share one copy; also, whose key an upload left behind was for.
CREATE INDEX detection_destination ON detection (dest_bucket, dest_key);

-- When a trigger first looked; until then 'initial' decides about what is there already.
ALTER TABLE trigger_status ADD COLUMN begun_at TEXT;

-- An execution that failed and is tried again waits until then.
ALTER TABLE execution ADD COLUMN next_try TEXT;

-- Replays share the batch of their original, which the unique index leaves out.
CREATE INDEX execution_shared_batch ON execution (batch_id);

-- Where an object goes after its execution has ended, or when it is driven in again: PENDING → PLACED → DONE.
CREATE TABLE route (
    id            TEXT PRIMARY KEY,
    detection_id  TEXT NOT NULL,
    trigger_key   TEXT NOT NULL,
    execution_id  TEXT,
    purpose       TEXT NOT NULL,
    state         TEXT NOT NULL,
    dest_bucket   TEXT,
    dest_key      TEXT,
    dest_etag     TEXT,
    attempts      INTEGER NOT NULL DEFAULT 0,
    next_try      TEXT,
    error         TEXT,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
);
CREATE INDEX route_detection ON route (detection_id, id);
CREATE INDEX route_live ON route (trigger_key) WHERE state IN ('PENDING', 'PLACED');

-- Facts about this journal as a whole, by name.
CREATE TABLE fact (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
);

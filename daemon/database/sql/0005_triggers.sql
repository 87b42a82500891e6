-- Where each schedule stands: the last date handed out or passed over, and what its dates were like then.
CREATE TABLE schedule (
    trigger_key  TEXT PRIMARY KEY,
    definition   TEXT NOT NULL,
    last_date    TEXT NOT NULL
);

-- The state in which Flow triggers have been told of an execution; those that ended before there were any are not told of.
ALTER TABLE execution ADD COLUMN announced TEXT;
UPDATE execution SET announced = state WHERE state NOT IN ('CREATED', 'RUNNING');
CREATE INDEX execution_unannounced ON execution (created_at) WHERE state NOT IN ('CREATED', 'RUNNING') AND COALESCE(announced, '') <> state;

-- How many executions led to this one, each by starting the next when it ended.
ALTER TABLE execution ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;

-- What a Flow trigger waits for and has been true: when last, and of which execution.
CREATE TABLE met (
    trigger_key   TEXT NOT NULL,
    requirement   TEXT NOT NULL,
    part          TEXT NOT NULL,
    execution_id  TEXT NOT NULL,
    met_at        TEXT NOT NULL,
    PRIMARY KEY (trigger_key, requirement, part)
);

-- The states in which the end of an execution pauses its trigger, each between spaces, and the execution that did it.
ALTER TABLE trigger_status ADD COLUMN stop_after TEXT NOT NULL DEFAULT '';
ALTER TABLE trigger_status ADD COLUMN stopped_by TEXT;

-- One row per actor that has anything stored: its private cell and its alarm, which therefore cannot disagree.
CREATE TABLE actor_cells (
    namespace      TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    cell           BLOB    NOT NULL,           -- opaque to the runtime
    due_ms         INTEGER,                    -- when its wake-up is due, ms since 1970 UTC; NULL: none armed
    lane           INTEGER NOT NULL DEFAULT 0, -- 0 first attempts, 1 retries
    deferrals      INTEGER NOT NULL DEFAULT 0, -- how often the delivery failed in a row
    delivery_error TEXT,                       -- why it failed last
    PRIMARY KEY (namespace, name)
) STRICT;

-- The index on due time. The dispatcher reads it in order and never more than a window of it.
CREATE INDEX actor_alarms ON actor_cells (lane, due_ms) WHERE due_ms IS NOT NULL;

-- Alarms in trouble, for health: nearly always empty.
CREATE INDEX actor_deferred ON actor_cells (deferrals) WHERE deferrals > 0;

-- The history is only ever added to, in the order of the commits: with a number as its key, an end costs an index less
-- than with the generation, and the oldest lines are found at the beginning.
CREATE TABLE numbered_history (
    seq            INTEGER NOT NULL PRIMARY KEY,
    generation     TEXT    NOT NULL, -- the service's own id of the session; stands in one line only
    user_id        TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    labId          TEXT    NOT NULL,
    lab_request_id TEXT    NOT NULL,
    created_at     TEXT    NOT NULL,
    expires_at     TEXT    NOT NULL,
    ended_at       TEXT    NOT NULL,
    end_reason     TEXT    NOT NULL, -- expired: the backend confirmed every VM; deleted: by hand
    attempts       INTEGER NOT NULL,
    lateness_ms    INTEGER,          -- from expires_at to ended_at; NULL for deleted ones
    last_error     TEXT              -- of the last attempt that failed
);
INSERT INTO numbered_history
SELECT NULL, generation, user_id, id, labId, lab_request_id, created_at, expires_at, ended_at, end_reason, attempts,
       lateness_ms, last_error
FROM session_history ORDER BY rowid;
DROP TABLE session_history;
ALTER TABLE numbered_history RENAME TO session_history;

-- For why and when a user's last session ended.
CREATE INDEX session_history_user ON session_history (user_id, ended_at);

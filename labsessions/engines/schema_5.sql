-- What has happened to the sessions, fact by fact, written in the transaction of each. `seq` is the order of the
-- commits and is never given twice; the oldest rows are deleted in the background (events.retention_days). `type` and
-- `data` (JSON) are explained in the API examples.
CREATE TABLE session_events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         TEXT    NOT NULL, -- ISO 8601 in UTC
    user_id    TEXT    NOT NULL,
    generation TEXT    NOT NULL, -- as in session_history
    session_id TEXT    NOT NULL, -- the session's `id`
    type       TEXT    NOT NULL,
    data       TEXT    NOT NULL
);

-- For the stream of a user's events.
CREATE INDEX session_events_user ON session_events (user_id, seq);

-- For why and when a user's last session ended.
CREATE INDEX session_history_user ON session_history (user_id, ended_at);

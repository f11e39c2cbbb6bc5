-- For operators: the sessions in the order of their deadlines, those whose cleanup has begun, and the past by day.
-- Each costs a session's life a few microseconds; without them a look at the service would read whole tables.
CREATE INDEX labs_sessions_expires ON labs_sessions (expires_at);

-- Also for health, which looks for the stuck ones.
CREATE INDEX labs_sessions_trouble ON labs_sessions (status) WHERE status <> 'active';
DROP INDEX labs_sessions_stuck;

CREATE INDEX session_history_ended ON session_history (ended_at);

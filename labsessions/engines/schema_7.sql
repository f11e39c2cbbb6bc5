-- What operators have done: each action with its outcome, refused ones too. An action on a session is written in the
-- transaction of what it did; one on many sessions is written before it begins (`begun`) and when it is over. `detail`
-- is JSON. Nothing is ever deleted from it.
CREATE TABLE operator_audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT    NOT NULL, -- ISO 8601 in UTC
    who     TEXT    NOT NULL, -- as the operator called itself
    action  TEXT    NOT NULL, -- extend, end, retry, retry_many, forget, pause, resume, sweep_orphans, …
    user_id TEXT,             -- NULL where it was about no single user
    reason  TEXT,
    detail  TEXT    NOT NULL,
    outcome TEXT    NOT NULL  -- done, begun, or why not
);

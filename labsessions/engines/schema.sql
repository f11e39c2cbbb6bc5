-- The running labs, one row per user: what GET shows, for operators with `sqlite3`. Read it at any time; writing to
-- it changes nothing but this view of the state, which lives in actor_cells. Columns are named as in the API;
-- times are ISO 8601 in UTC, `vm`, `worker_nodes` and `loadBalancers` are JSON.
CREATE TABLE labs_sessions (
    user_id         TEXT    NOT NULL PRIMARY KEY,
    id              TEXT    NOT NULL,
    labId           TEXT    NOT NULL,
    labTitle        TEXT    NOT NULL,
    labGroupID      TEXT    NOT NULL,
    moduleID        TEXT    NOT NULL,
    duration        NUMERIC NOT NULL, -- minutes; created_at + duration = expires_at, also after a moved deadline
    activatedAt     TEXT    NOT NULL,
    counterID       TEXT    NOT NULL,
    configId        TEXT    NOT NULL,
    workerConfigId  TEXT    NOT NULL,
    lab_request_id  TEXT    NOT NULL,
    terminal_url    TEXT    NOT NULL,
    validation      INTEGER NOT NULL,
    vm              TEXT    NOT NULL,
    vscode_domain   TEXT,
    puku_domain     TEXT,
    worker_nodes    TEXT,
    loadBalancers   TEXT,
    created_at      TEXT    NOT NULL,
    updated_at      TEXT    NOT NULL,
    expires_at      TEXT    NOT NULL,
    status          TEXT    NOT NULL, -- active, cleaning, stuck
    attempts        INTEGER NOT NULL, -- cleanup attempts begun
    last_error      TEXT,
    next_attempt_at TEXT,
    generation      TEXT    NOT NULL, -- the service's own id of this session
    version         INTEGER NOT NULL  -- counts the changes of this generation
);

-- For health: nearly always empty.
CREATE INDEX labs_sessions_stuck ON labs_sessions (status) WHERE status = 'stuck';

-- The sessions that have ended, written in the transaction that ended them.
CREATE TABLE session_history (
    generation     TEXT    NOT NULL PRIMARY KEY,
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

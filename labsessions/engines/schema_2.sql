-- VMs of sessions that were deleted by hand, of which the service makes sure (cleanup.manual_delete = "ensure"): those
-- that the backend has still to confirm. Read it at any time; writing to it changes nothing but this view.
CREATE TABLE owed_vms (
    user_id         TEXT    NOT NULL,
    lab_request_id  TEXT    NOT NULL, -- the VM, master or worker
    generation      TEXT    NOT NULL, -- of the session, as in session_history
    since           TEXT    NOT NULL, -- when the session was deleted
    attempts        INTEGER NOT NULL, -- cleanup attempts begun
    last_error      TEXT,
    next_attempt_at TEXT    NOT NULL,
    PRIMARY KEY (generation, lab_request_id)
);

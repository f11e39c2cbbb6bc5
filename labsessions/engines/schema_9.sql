-- Messages to webhooks that their endpoint has not accepted for so long that they were given up. They stay until an
-- operator has them replayed.
CREATE TABLE webhook_dead_letters (
    endpoint    TEXT    NOT NULL, -- its name in the settings
    seq         INTEGER NOT NULL, -- of the event, as in session_events
    webhook_id  TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    at          TEXT    NOT NULL, -- of the event
    payload     TEXT    NOT NULL, -- the body as it was sent
    attempts    INTEGER NOT NULL,
    given_up_at TEXT    NOT NULL,
    last_error  TEXT    NOT NULL,
    PRIMARY KEY (endpoint, seq)
);

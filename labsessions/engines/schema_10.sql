-- Each start of the service, the newest thousand of them. `seq` is their order.
CREATE TABLE deployments (
    seq                  INTEGER PRIMARY KEY,
    started_at           TEXT    NOT NULL, -- ISO 8601 in UTC, as all instants
    stopped_at           TEXT,             -- NULL: it is running, or has died
    clean                INTEGER,          -- 1: it has stopped in order; 0: it has died; NULL: it is running
    version              TEXT    NOT NULL, -- of the release
    schema               INTEGER NOT NULL, -- steps of the product's schema that the release knows
    settings_fingerprint TEXT    NOT NULL, -- the same for the same settings, whatever the secrets are
    host                 TEXT    NOT NULL, -- the machine
    pid                  INTEGER NOT NULL
);

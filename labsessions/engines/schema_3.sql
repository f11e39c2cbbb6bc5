-- Obligations in trouble show like sessions in trouble: `cleaning` (also while they wait), or `stuck`.
ALTER TABLE owed_vms ADD COLUMN status TEXT NOT NULL DEFAULT 'cleaning';

-- For health: nearly always empty.
CREATE INDEX owed_vms_stuck ON owed_vms (status) WHERE status = 'stuck';

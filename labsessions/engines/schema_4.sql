-- For health: sessions that were created later than now. Only those that run, as one that is being cleaned is over.
CREATE INDEX labs_sessions_created ON labs_sessions (created_at) WHERE status = 'active';

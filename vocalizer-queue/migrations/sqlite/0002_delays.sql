-- How long the job was put off for when `ready_at_ms` was written. A clock that was ahead then must not make it wait longer.
ALTER TABLE queue_jobs ADD COLUMN delay_ms INTEGER NOT NULL DEFAULT 86400000 CHECK (delay_ms >= 0);

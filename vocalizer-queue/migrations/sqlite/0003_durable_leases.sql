-- The lease of a worker of another process, which goes on when this process ends.
ALTER TABLE queue_jobs ADD COLUMN lease TEXT;
-- Whether `attempts` includes the one under way: from when its worker was heard of.
ALTER TABLE queue_jobs ADD COLUMN lease_counts INTEGER NOT NULL DEFAULT 1 CHECK (lease_counts IN (0, 1));

-- A job is here from when it was published until it is settled; leases live in the memory of the one process that
-- grants them.
CREATE TABLE queue_jobs (
    number INTEGER PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL,
    -- Those that count, the one under way included.
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    published_at_ms INTEGER NOT NULL,
    -- Also the order of delivery after a restart.
    ready_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE queue_dead_letters (
    -- Newest last.
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0)
) STRICT;

-- A job is here from when it was published until it is settled. All times are this server's clock.
CREATE TABLE queue_jobs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash TEXT COLLATE "C" NOT NULL,
    -- Those that count.
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    published_at TIMESTAMPTZ NOT NULL,
    -- The order of delivery, and the end of a delay.
    ready_at TIMESTAMPTZ NOT NULL,
    -- Who has it, until `free_at`. After that it waits again, whether or not the columns say so.
    lease BYTEA UNIQUE CHECK (length(lease) = 16),
    -- Whether `attempts` includes the one under way: from when its worker was heard of.
    lease_counts BOOLEAN NOT NULL DEFAULT TRUE,
    -- From when on it may be leased.
    free_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX queue_jobs_in_order ON queue_jobs (ready_at, number);
CREATE INDEX queue_jobs_of_hash ON queue_jobs (hash);

CREATE TABLE queue_dead_letters (
    hash TEXT COLLATE "C" PRIMARY KEY,
    -- Newest last.
    number BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0)
);

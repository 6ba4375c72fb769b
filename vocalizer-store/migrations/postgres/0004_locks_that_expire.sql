-- Who is at the bytes of a hash, and who sweeps. A term is never used twice.

CREATE SEQUENCE lock_terms;

CREATE TABLE locks (
    name TEXT COLLATE "C" PRIMARY KEY,
    term BIGINT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

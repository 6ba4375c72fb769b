-- Since when an operator has disabled the user; NULL for an enabled one.
ALTER TABLE users ADD COLUMN disabled_at_us INTEGER;
-- How the user's quota differs from that of all users, in JSON.
ALTER TABLE users ADD COLUMN quota TEXT;

-- Who did what. Entries are added and removed by age; none changes.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT,
    address TEXT,
    details TEXT
) STRICT;

CREATE INDEX audit_by_time ON audit (at_us);

CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log never changes');
END;

-- Hashes whose last song an operator deleted while a server had the locks; that server deletes their files.
CREATE TABLE erasures (
    hash TEXT PRIMARY KEY NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;

-- A row while an operator holds jobs back in the outbox.
CREATE TABLE job_hold (
    one INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    since_us INTEGER NOT NULL
) STRICT;

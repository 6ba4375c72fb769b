-- Since when an operator has disabled the user; NULL for an enabled one.
ALTER TABLE users ADD COLUMN disabled_at_us BIGINT;
-- How the user's quota differs from that of all users, in JSON.
ALTER TABLE users ADD COLUMN quota TEXT;

-- Who did what. Entries are added and removed by age; none changes.
CREATE TABLE audit (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_us BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject TEXT,
    address TEXT,
    details TEXT
);

CREATE INDEX audit_by_time ON audit (at_us);

CREATE FUNCTION audit_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log never changes';
END
$$;

CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_never_changes();

-- Hashes whose last song an operator deleted without the servers' locks; a server deletes their files.
CREATE TABLE erasures (
    hash TEXT COLLATE "C" PRIMARY KEY,
    at_us BIGINT NOT NULL
);

-- A row while an operator holds jobs back in the outbox.
CREATE TABLE job_hold (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    since_us BIGINT NOT NULL
);

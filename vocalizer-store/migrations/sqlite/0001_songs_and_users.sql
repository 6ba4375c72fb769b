-- Identifiers and hashes are text, as they stand in URLs and in the blob store; times are microseconds since 1970.

CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    username TEXT NOT NULL,
    -- What makes names equal; the rule for it is in the domain.
    username_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    registered_at_us INTEGER NOT NULL
) STRICT;

-- Logins, and API tokens: those that have a name.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER,
    token_id TEXT UNIQUE,
    token_name TEXT,
    CHECK ((token_id IS NULL) = (token_name IS NULL))
) STRICT;

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at_us) WHERE expires_at_us IS NOT NULL;

CREATE TABLE songs (
    id TEXT PRIMARY KEY NOT NULL,
    title TEXT NOT NULL,
    hash TEXT NOT NULL,
    -- NULL for a song that is everybody's.
    uploader TEXT REFERENCES users (id),
    uploaded_at_us INTEGER NOT NULL,
    status TEXT NOT NULL,
    failure TEXT
) STRICT;

CREATE INDEX songs_in_order ON songs (uploader, uploaded_at_us DESC, id);
CREATE INDEX songs_of_hash ON songs (hash);
CREATE INDEX songs_in_status ON songs (status, hash);

-- Jobs that are not known to be on the queue yet. A number is never used twice.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    hash TEXT NOT NULL UNIQUE
) STRICT;

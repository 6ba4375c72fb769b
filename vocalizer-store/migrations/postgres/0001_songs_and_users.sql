-- Identifiers and hashes are text, as they stand in URLs and in the blob store, ordered by their bytes; times are
-- microseconds since 1970.

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    username TEXT NOT NULL,
    -- What makes names equal; the rule for it is in the domain.
    username_key TEXT COLLATE "C" NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    registered_at_us BIGINT NOT NULL
);

-- Logins, and API tokens: those that have a name.
CREATE TABLE sessions (
    digest BYTEA PRIMARY KEY CHECK (length(digest) = 32),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT,
    token_id TEXT COLLATE "C" UNIQUE,
    token_name TEXT,
    CHECK ((token_id IS NULL) = (token_name IS NULL))
);

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at_us) WHERE expires_at_us IS NOT NULL;

CREATE TABLE songs (
    id TEXT COLLATE "C" PRIMARY KEY,
    title TEXT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    -- NULL for a song that is everybody's.
    uploader TEXT COLLATE "C" REFERENCES users (id),
    uploaded_at_us BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    failure TEXT
);

-- Two, because to PostgreSQL a NULL at the head of an index does not order what comes after it.
CREATE INDEX songs_in_order ON songs (uploader, uploaded_at_us DESC, id) WHERE uploader IS NOT NULL;
CREATE INDEX songs_of_everybody_in_order ON songs (uploaded_at_us DESC, id) WHERE uploader IS NULL;
CREATE INDEX songs_of_hash ON songs (hash);
CREATE INDEX songs_in_status ON songs (status, hash);

-- Jobs that are not known to be on the queue yet. A number is never used twice.
CREATE TABLE outbox (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,
    -- Until when a server is at it.
    claimed_until_us BIGINT
);

-- What was last heard of the work on a hash.
CREATE TABLE heard (
    hash TEXT COLLATE "C" PRIMARY KEY,
    percent SMALLINT NOT NULL,
    at_us BIGINT NOT NULL
);

-- Hashes whose last song was deleted, for a few days.
CREATE TABLE buried (
    hash TEXT COLLATE "C" PRIMARY KEY,
    at_us BIGINT NOT NULL
);

CREATE INDEX buried_by_age ON buried (at_us);

-- Who may be guessing.
CREATE TABLE attempts (
    key TEXT COLLATE "C" PRIMARY KEY,
    count BIGINT NOT NULL,
    next_us BIGINT NOT NULL,
    forgotten_us BIGINT NOT NULL
);

CREATE INDEX attempts_by_end ON attempts (forgotten_us);

-- The priority of a user's jobs, if it is not 0.
CREATE TABLE priorities (
    user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    priority INTEGER NOT NULL
) STRICT;

-- The priority of a user's jobs, if it is not 0.
CREATE TABLE priorities (
    user_id TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    priority BIGINT NOT NULL
);

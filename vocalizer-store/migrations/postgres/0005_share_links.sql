-- Links with which everyone may read a song; only the hash of a link's secret is stored.
CREATE TABLE shares (
    id TEXT COLLATE "C" PRIMARY KEY,
    digest BYTEA NOT NULL UNIQUE CHECK (length(digest) = 32),
    song_id TEXT COLLATE "C" NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT,
    -- The mix to start with, as JSON.
    mix TEXT
);

CREATE INDEX shares_of_song ON shares (song_id, created_at_us DESC, id);
CREATE INDEX shares_by_end ON shares (expires_at_us) WHERE expires_at_us IS NOT NULL;

-- Links with which everyone may read a song; only the hash of a link's secret is stored.
CREATE TABLE shares (
    id TEXT PRIMARY KEY NOT NULL,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    song_id TEXT NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER,
    -- The mix to start with, as JSON.
    mix TEXT
) STRICT;

CREATE INDEX shares_of_song ON shares (song_id, created_at_us DESC, id);
CREATE INDEX shares_by_end ON shares (expires_at_us) WHERE expires_at_us IS NOT NULL;

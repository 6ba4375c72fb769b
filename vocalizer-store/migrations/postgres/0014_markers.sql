-- Named times in songs.
CREATE TABLE markers (
    id TEXT COLLATE "C" PRIMARY KEY,
    song_id TEXT COLLATE "C" NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    at_ms BIGINT NOT NULL CHECK (at_ms >= 0),
    name TEXT NOT NULL
);

CREATE INDEX markers_of_song ON markers (song_id, at_ms, id);

-- Named times in songs.
CREATE TABLE markers (
    id TEXT PRIMARY KEY NOT NULL,
    song_id TEXT NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL CHECK (at_ms >= 0),
    name TEXT NOT NULL
) STRICT;

CREATE INDEX markers_of_song ON markers (song_id, at_ms, id);

-- What the file of a song says about it; NULL if it is unknown, and for songs of before this migration.
ALTER TABLE songs ADD COLUMN artist TEXT;
ALTER TABLE songs ADD COLUMN duration_ms BIGINT;
ALTER TABLE songs ADD COLUMN has_cover BIGINT;
-- Folded title and artist, and the other way round. The sweep computes those of songs of before this migration.
ALTER TABLE songs ADD COLUMN title_key TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE songs ADD COLUMN artist_key TEXT COLLATE "C" NOT NULL DEFAULT '';

CREATE INDEX songs_without_keys ON songs (id) WHERE title_key = '';
CREATE INDEX songs_by_title ON songs (uploader, title_key, id) WHERE uploader IS NOT NULL AND trashed_at_us IS NULL;
CREATE INDEX songs_of_everybody_by_title ON songs (title_key, id) WHERE uploader IS NULL AND trashed_at_us IS NULL;
CREATE INDEX songs_by_artist ON songs (uploader, artist_key, id) WHERE uploader IS NOT NULL AND trashed_at_us IS NULL;
CREATE INDEX songs_of_everybody_by_artist ON songs (artist_key, id) WHERE uploader IS NULL AND trashed_at_us IS NULL;
CREATE INDEX songs_by_duration ON songs (uploader, (coalesce(duration_ms, -1)), id)
    WHERE uploader IS NOT NULL AND trashed_at_us IS NULL;
CREATE INDEX songs_of_everybody_by_duration ON songs ((coalesce(duration_ms, -1)), id)
    WHERE uploader IS NULL AND trashed_at_us IS NULL;

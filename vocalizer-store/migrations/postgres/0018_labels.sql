-- The labels of a song as they are shown, one per line in the order of their keys; NULL without any.
ALTER TABLE songs ADD COLUMN labels TEXT COLLATE "C";

CREATE INDEX songs_with_labels ON songs (uploader) WHERE labels IS NOT NULL AND trashed_at_us IS NULL;

-- The keys of the same labels, to find songs by.
CREATE TABLE song_labels (
    label_key TEXT COLLATE "C" NOT NULL,
    song_id TEXT COLLATE "C" NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    PRIMARY KEY (label_key, song_id)
);

CREATE INDEX labels_of_song ON song_labels (song_id);

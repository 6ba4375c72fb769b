-- The labels of a song as they are shown, one per line in the order of their keys; NULL without any.
ALTER TABLE songs ADD COLUMN labels TEXT;

CREATE INDEX songs_with_labels ON songs (uploader, labels) WHERE labels IS NOT NULL AND trashed_at_us IS NULL;

-- The keys of the same labels, to find songs by.
CREATE TABLE song_labels (
    label_key TEXT NOT NULL,
    song_id TEXT NOT NULL REFERENCES songs (id) ON DELETE CASCADE,
    PRIMARY KEY (label_key, song_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX labels_of_song ON song_labels (song_id);

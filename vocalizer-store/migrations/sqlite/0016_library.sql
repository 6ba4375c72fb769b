-- What the file of a song says about it; NULL if it is unknown, and for songs of before this migration.
ALTER TABLE songs ADD COLUMN artist TEXT;
ALTER TABLE songs ADD COLUMN duration_ms INTEGER;
ALTER TABLE songs ADD COLUMN has_cover INTEGER;
-- Folded title and artist, and the other way round. The sweep computes those of songs of before this migration.
ALTER TABLE songs ADD COLUMN title_key TEXT NOT NULL DEFAULT '';
ALTER TABLE songs ADD COLUMN artist_key TEXT NOT NULL DEFAULT '';

CREATE INDEX songs_without_keys ON songs (id) WHERE title_key = '';
-- Each order has the words that are searched.
CREATE INDEX songs_by_title ON songs (uploader, title_key, id) WHERE trashed_at_us IS NULL;
CREATE INDEX songs_by_artist ON songs (uploader, artist_key, id) WHERE trashed_at_us IS NULL;
CREATE INDEX songs_by_duration ON songs (uploader, coalesce(duration_ms, -1), id, title_key) WHERE trashed_at_us IS NULL;
DROP INDEX songs_in_order;
CREATE INDEX songs_in_order ON songs (uploader, uploaded_at_us DESC, id, title_key) WHERE trashed_at_us IS NULL;
DROP INDEX songs_in_order_by_status;
CREATE INDEX songs_in_order_by_status ON songs (uploader, status, uploaded_at_us DESC, id, title_key)
    WHERE trashed_at_us IS NULL;

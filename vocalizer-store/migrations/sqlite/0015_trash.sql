-- Since when a deleted song is in the trash; NULL for every other song. Whether deleting it cancelled its splitting.
ALTER TABLE songs ADD COLUMN trashed_at_us INTEGER;
ALTER TABLE songs ADD COLUMN was_waiting INTEGER;

CREATE INDEX songs_in_trash ON songs (uploader, trashed_at_us DESC, id) WHERE trashed_at_us IS NOT NULL;
CREATE INDEX trash_by_age ON songs (trashed_at_us) WHERE trashed_at_us IS NOT NULL;

-- Lists do not read the trash.
DROP INDEX songs_in_order;
CREATE INDEX songs_in_order ON songs (uploader, uploaded_at_us DESC, id) WHERE trashed_at_us IS NULL;
DROP INDEX songs_in_order_by_status;
CREATE INDEX songs_in_order_by_status ON songs (uploader, status, uploaded_at_us DESC, id) WHERE trashed_at_us IS NULL;
DROP INDEX songs_of_uploader;
CREATE INDEX songs_of_uploader ON songs (uploader, size_bytes, trashed_at_us) WHERE uploader IS NOT NULL;
DROP INDEX songs_of_address;
CREATE INDEX songs_of_address ON songs (uploader_address, size_bytes, trashed_at_us) WHERE uploader_address IS NOT NULL;

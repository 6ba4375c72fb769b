-- The size of the file that was uploaded; NULL for songs of before this migration.
ALTER TABLE songs ADD COLUMN size_bytes INTEGER;
-- A keyed digest of the address that an anonymous song came from, while songs of an address are limited.
ALTER TABLE songs ADD COLUMN uploader_address TEXT;
-- Since when its age counts, where that is not when it was uploaded.
ALTER TABLE songs ADD COLUMN kept_since_us INTEGER;

CREATE INDEX songs_in_order_by_status ON songs (uploader, status, uploaded_at_us DESC, id);
CREATE INDEX songs_of_uploader ON songs (uploader, size_bytes) WHERE uploader IS NOT NULL;
CREATE INDEX songs_of_address ON songs (uploader_address, size_bytes) WHERE uploader_address IS NOT NULL;
CREATE INDEX songs_by_age ON songs (coalesce(kept_since_us, uploaded_at_us));

-- How full the buckets are from which uploaders draw.
CREATE TABLE uploaders (
    -- user:ID or address:DIGEST
    uploader TEXT PRIMARY KEY NOT NULL,
    uploads_until_us INTEGER NOT NULL,
    audio_until_us INTEGER NOT NULL
) STRICT;

-- The time by which songs grow old.
CREATE TABLE retention (
    one INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    time_us INTEGER NOT NULL
) STRICT;

-- Codes that let somebody register, once.
CREATE TABLE invites (
    digest BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    expires_at_us INTEGER NOT NULL
) STRICT;

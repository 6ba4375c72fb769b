-- Resumable uploads. Their bytes are pieces in the blob store.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY NOT NULL,
    -- The user; NULL for an anonymous upload.
    owner TEXT,
    -- The unit that it is counted by.
    uploader TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL CHECK (received_bytes BETWEEN 0 AND size_bytes),
    -- What the client tells about the song, as JSON.
    fields TEXT NOT NULL,
    -- The song of a finished upload.
    song TEXT,
    expires_at_us INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_by_end ON uploads (expires_at_us);
CREATE INDEX unfinished_uploads ON uploads (uploader) WHERE song IS NULL;

-- Resumable uploads. Their bytes are pieces in the blob store.
CREATE TABLE uploads (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- The user; NULL for an anonymous upload.
    owner TEXT COLLATE "C",
    -- The unit that it is counted by.
    uploader TEXT COLLATE "C" NOT NULL,
    size_bytes BIGINT NOT NULL,
    received_bytes BIGINT NOT NULL CHECK (received_bytes BETWEEN 0 AND size_bytes),
    -- What the client tells about the song, as JSON.
    fields TEXT NOT NULL,
    -- The song of a finished upload.
    song TEXT COLLATE "C",
    expires_at_us BIGINT NOT NULL
);

CREATE INDEX uploads_by_end ON uploads (expires_at_us);
CREATE INDEX unfinished_uploads ON uploads (uploader) WHERE song IS NULL;

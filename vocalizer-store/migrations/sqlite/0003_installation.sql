-- Which installation this is. Its blobs carry the same identifier, so that no server sweeps those of another.
CREATE TABLE installation (
    only_row INTEGER PRIMARY KEY NOT NULL CHECK (only_row = 1),
    id TEXT NOT NULL
) STRICT;

INSERT INTO installation (only_row, id) VALUES (1, lower(hex(randomblob(16))));

-- Which installation this is. Its blobs carry the same identifier, so that no server sweeps those of another.
CREATE TABLE installation (
    only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL
);

INSERT INTO installation (only_row, id) VALUES (1, replace(gen_random_uuid()::text, '-', ''));

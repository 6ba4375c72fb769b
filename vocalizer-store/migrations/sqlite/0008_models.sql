-- What a song is split with: the model, or NULL for the default of a server that knew one only; where its results are; the
-- stems that are wanted, or NULL for all.
ALTER TABLE songs ADD COLUMN model TEXT;
ALTER TABLE songs ADD COLUMN result_key TEXT;
ALTER TABLE songs ADD COLUMN wanted_stems TEXT;
-- The stems that can be downloaded: where they are, or NULL if there are none; the model; their names, or NULL for the four of
-- the contract.
ALTER TABLE songs ADD COLUMN shown_key TEXT;
ALTER TABLE songs ADD COLUMN shown_model TEXT;
ALTER TABLE songs ADD COLUMN stem_names TEXT;
UPDATE songs SET result_key = hash, shown_key = CASE WHEN status = 'SPLIT' THEN hash END;

CREATE INDEX songs_of_result ON songs (result_key);
DROP INDEX songs_in_status;
CREATE INDEX songs_in_status ON songs (status, result_key);

-- The results that are stored for a hash, one per model. Newest last.
CREATE TABLE results (
    number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    shown_key TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    shown_model TEXT,
    stem_names TEXT,
    stems TEXT,
    provenance TEXT
) STRICT;
CREATE INDEX results_of_hash ON results (hash);
INSERT INTO results (shown_key, hash, stems, provenance)
    SELECT hash, hash, min(stems), min(provenance) FROM songs WHERE status = 'SPLIT' GROUP BY hash;

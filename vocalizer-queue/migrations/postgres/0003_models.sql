-- The model to split with; NULL for the default.
ALTER TABLE queue_jobs ADD COLUMN model TEXT COLLATE "C";
-- The hash of the song if `hash` is the key of a further model's result; NULL if they are the same.
ALTER TABLE queue_jobs ADD COLUMN source TEXT COLLATE "C";

-- The formats in which the stems of a split song are stored: mp3, flac or both; NULL for MP3.
ALTER TABLE songs ADD COLUMN stems TEXT;
-- What made the stems, in JSON; NULL if the worker did not say it.
ALTER TABLE songs ADD COLUMN provenance TEXT;

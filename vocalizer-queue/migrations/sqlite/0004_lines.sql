-- The line of a job: a user, or NULL for anonymous songs, and a priority. Lines take turns.
ALTER TABLE queue_jobs ADD COLUMN owner TEXT;
ALTER TABLE queue_jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

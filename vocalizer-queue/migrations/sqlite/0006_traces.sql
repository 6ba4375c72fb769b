-- The trace context of the span that published the job, and when; NULL without one.
ALTER TABLE queue_jobs ADD COLUMN trace TEXT;

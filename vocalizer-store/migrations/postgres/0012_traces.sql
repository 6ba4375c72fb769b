-- The W3C trace context of the request that added the entry; NULL without one.
ALTER TABLE outbox ADD COLUMN trace TEXT COLLATE "C";

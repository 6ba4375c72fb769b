-- Addresses that are told what happens to a user's songs. The secret signs requests, so it is stored as it is.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- Names of events, separated by commas.
    events TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    -- The first of the failures since the last success, and how many deliveries in a row were given up.
    failing_since_us INTEGER,
    given_up INTEGER NOT NULL DEFAULT 0,
    disabled_at_us INTEGER,
    -- Until when a server makes an attempt, and when the last one was claimed.
    claimed_until_us INTEGER,
    claimed_at_us INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX webhooks_of_user ON webhooks (user_id, created_at_us DESC, id);

-- The outbox of webhooks: one row per event and webhook. Pending rows have a next attempt; of the others, those with an
-- error were given up.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    -- The song at the time of the event, as JSON.
    song TEXT,
    created_at_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    first_attempt_at_us INTEGER,
    attempted_at_us INTEGER,
    next_attempt_at_us INTEGER,
    status_code INTEGER,
    error TEXT
) STRICT;

CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, created_at_us DESC, id);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at_us, webhook_id) WHERE next_attempt_at_us IS NOT NULL;
CREATE INDEX deliveries_pending ON deliveries (webhook_id, next_attempt_at_us) WHERE next_attempt_at_us IS NOT NULL;

-- Addresses that are told what happens to a user's songs. The secret signs requests, so it is stored as it is.
CREATE TABLE webhooks (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- Names of events, separated by commas.
    events TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    -- The first of the failures since the last success, and how many deliveries in a row were given up.
    failing_since_us BIGINT,
    given_up BIGINT NOT NULL DEFAULT 0,
    disabled_at_us BIGINT,
    -- Until when a server makes an attempt, and when the last one was claimed.
    claimed_until_us BIGINT,
    claimed_at_us BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX webhooks_of_user ON webhooks (user_id, created_at_us DESC, id);

-- The outbox of webhooks: one row per event and webhook. Pending rows have a next attempt; of the others, those with an
-- error were given up.
CREATE TABLE deliveries (
    id TEXT COLLATE "C" PRIMARY KEY,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    -- The song at the time of the event, as JSON.
    song TEXT,
    created_at_us BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    first_attempt_at_us BIGINT,
    attempted_at_us BIGINT,
    next_attempt_at_us BIGINT,
    status_code BIGINT,
    error TEXT
);

CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, created_at_us DESC, id);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at_us, webhook_id) WHERE next_attempt_at_us IS NOT NULL;
CREATE INDEX deliveries_pending ON deliveries (webhook_id, next_attempt_at_us) WHERE next_attempt_at_us IS NOT NULL;

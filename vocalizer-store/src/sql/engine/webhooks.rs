//! Webhooks and the outbox of their deliveries. Compiled once for each engine.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{query, query_scalar};
use time::OffsetDateTime;
use vocalizer_core::account::UserId;
use vocalizer_core::api::WebhookEvent;
use vocalizer_core::events::{event_of, snapshot};
use vocalizer_core::ports::{Backlog, ClaimedDelivery, RepositoryError, WebhookRepository};
use vocalizer_core::song::Song;
use vocalizer_core::webhook::{DISABLED, Delivery, Health, MAX_PENDING, Webhook, WebhookId};

use super::engine::{self, Connection, Statement, Store, repository};
use crate::sql::rows::{self, micros, read, read_all};

/// Selects the webhooks of disabled users, whose deliveries wait.
macro_rules! of_disabled_users {
    () => {
        "SELECT webhooks.id FROM webhooks JOIN users ON users.id = webhooks.user_id WHERE users.disabled_at_us IS NOT NULL"
    };
}

#[async_trait]
impl WebhookRepository for Store {
    async fn insert_webhook(&self, webhook: &Webhook, max: u32) -> Result<bool, RepositoryError> {
        self.attempt(|| async {
            let mut step = self.begin().await?;
            // Makes concurrent calls for a user wait.
            let user = query(engine::LOCK_USER).bind(webhook.user.to_string()).fetch_all(&mut *step).await;
            if user.map_err(repository)?.is_empty() {
                return Err(RepositoryError::Conflict);
            }
            insert_webhook(webhook).execute(&mut *step).await.map_err(repository)?;
            let webhooks: i64 = query_scalar("SELECT count(*) FROM webhooks WHERE user_id = $1")
                .bind(webhook.user.to_string())
                .fetch_one(&mut *step)
                .await
                .map_err(repository)?;
            if webhooks > i64::from(max) {
                return Ok(false);
            }
            self.commit(step).await?;
            Ok(true)
        })
        .await
    }

    async fn webhooks_of(&self, user: UserId) -> Result<Vec<Webhook>, RepositoryError> {
        const SQL: &str = "\
            SELECT id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, disabled_at_us \
            FROM webhooks WHERE user_id = $1 ORDER BY created_at_us DESC, id";
        self.attempt(|| async {
            let rows = query(SQL).bind(user.to_string()).fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, rows::webhook)
        })
        .await
    }

    async fn delete_webhook(&self, user: UserId, id: WebhookId) -> Result<bool, RepositoryError> {
        const SQL: &str = "DELETE FROM webhooks WHERE user_id = $1 AND id = $2";
        Ok(self.write(|| query(SQL).bind(user.to_string()).bind(id.to_string())).await? > 0)
    }

    async fn enable_webhook(&self, user: UserId, id: WebhookId) -> Result<bool, RepositoryError> {
        const SQL: &str = "\
            UPDATE webhooks SET failing_since_us = NULL, given_up = 0, disabled_at_us = NULL \
            WHERE user_id = $1 AND id = $2";
        Ok(self.write(|| query(SQL).bind(user.to_string()).bind(id.to_string())).await? > 0)
    }

    async fn insert_delivery(&self, delivery: &Delivery) -> Result<(), RepositoryError> {
        self.attempt(|| async {
            let mut step = self.begin().await?;
            insert_delivery(delivery)?.execute(&mut *step).await.map_err(repository)?;
            self.commit(step).await
        })
        .await
    }

    async fn deliveries(&self, webhook: WebhookId, limit: u32) -> Result<Vec<Delivery>, RepositoryError> {
        const SQL: &str = "\
            SELECT id, webhook_id, event, song, created_at_us, attempts, first_attempt_at_us, attempted_at_us, \
            next_attempt_at_us, status_code, error FROM deliveries \
            WHERE webhook_id = $1 ORDER BY created_at_us DESC, id LIMIT $2";
        self.attempt(|| async {
            let statement = query(SQL).bind(webhook.to_string()).bind(i64::from(limit));
            read_all(&statement.fetch_all(self.read()).await.map_err(repository)?, rows::delivery)
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        limit: u32,
        lasts: Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<ClaimedDelivery>, RepositoryError> {
        const DUE: &str = concat!(
            "SELECT 1 FROM deliveries WHERE next_attempt_at_us <= $1 AND webhook_id NOT IN (",
            of_disabled_users!(),
            ") LIMIT 1"
        );
        const OLDEST: &str = "\
            SELECT id, webhook_id, event, song, created_at_us, attempts, first_attempt_at_us, attempted_at_us, \
            next_attempt_at_us, status_code, error FROM deliveries WHERE webhook_id = $1 AND next_attempt_at_us <= $2 \
            ORDER BY next_attempt_at_us, created_at_us, id LIMIT 1";
        self.attempt(|| async {
            // Usually there is nothing to do, and a read is cheap.
            let due = query(DUE).bind(micros(now)).fetch_optional(self.read()).await.map_err(repository)?;
            if due.is_none() {
                return Ok(Vec::new());
            }
            let mut step = self.begin().await?;
            let rows = query(engine::CLAIM_WEBHOOKS)
                .bind(i64::from(limit))
                .bind(micros(now))
                .bind(micros(now + lasts))
                .fetch_all(&mut *step)
                .await
                .map_err(repository)?;
            let mut claimed = Vec::new();
            for webhook in read_all(&rows, rows::webhook)? {
                let statement = query(OLDEST).bind(webhook.id.to_string()).bind(micros(now));
                if let Some(row) = statement.fetch_optional(&mut *step).await.map_err(repository)? {
                    claimed.push(ClaimedDelivery { webhook, delivery: read(&row, rows::delivery)? });
                }
            }
            self.commit(step).await?;
            Ok(claimed)
        })
        .await
    }

    async fn record_attempt(&self, delivery: &Delivery, health: &Health) -> Result<bool, RepositoryError> {
        const WEBHOOK: &str = "\
            UPDATE webhooks SET failing_since_us = $2, given_up = $3, disabled_at_us = $4, claimed_until_us = NULL \
            WHERE id = $1";
        // A server whose claim expired must not overwrite the attempt of another one.
        const DELIVERY: &str = "\
            UPDATE deliveries SET attempts = $2, first_attempt_at_us = $3, attempted_at_us = $4, next_attempt_at_us = $5, \
            status_code = $6, error = $7 WHERE id = $1 AND attempts = $2 - 1";
        const END: &str = "\
            UPDATE deliveries SET next_attempt_at_us = NULL, error = coalesce(error, $2) \
            WHERE webhook_id = $1 AND next_attempt_at_us IS NOT NULL";
        self.attempt(|| async {
            let mut step = self.begin().await?;
            // First the webhook, as its deletion does.
            query(WEBHOOK)
                .bind(delivery.webhook.to_string())
                .bind(health.failing_since.map(micros))
                .bind(i64::from(health.given_up))
                .bind(health.disabled_at.map(micros))
                .execute(&mut *step)
                .await
                .map_err(repository)?;
            let stored = query(DELIVERY)
                .bind(delivery.id.to_string())
                .bind(i64::from(delivery.attempts))
                .bind(delivery.first_attempt_at.map(micros))
                .bind(delivery.attempted_at.map(micros))
                .bind(delivery.next_attempt_at.map(micros))
                .bind(delivery.status_code.map(i64::from))
                .bind(delivery.error.as_deref())
                .execute(&mut *step)
                .await
                .map_err(repository)?;
            if stored.rows_affected() == 0 {
                return Ok(false);
            }
            if health.disabled_at.is_some() {
                let ended = query(END).bind(delivery.webhook.to_string()).bind(DISABLED).execute(&mut *step).await;
                ended.map_err(repository)?;
            }
            self.commit(step).await?;
            Ok(true)
        })
        .await
    }

    async fn forget_deliveries(&self, before: OffsetDateTime, keep: u32) -> Result<u64, RepositoryError> {
        const SQL: &str = "\
            DELETE FROM deliveries WHERE id IN ( \
                SELECT id FROM ( \
                    SELECT id, created_at_us, \
                    row_number() OVER (PARTITION BY webhook_id ORDER BY created_at_us DESC, id) AS place \
                    FROM deliveries WHERE next_attempt_at_us IS NULL \
                ) AS ended WHERE created_at_us < $1 OR place > $2 \
            )";
        self.write(|| query(SQL).bind(micros(before)).bind(i64::from(keep))).await
    }

    async fn backlog(&self) -> Result<Backlog, RepositoryError> {
        const SQL: &str = concat!(
            "SELECT count(*) AS pending, min(created_at_us) AS oldest, \
             (SELECT count(*) FROM webhooks WHERE disabled_at_us IS NOT NULL) AS disabled \
             FROM deliveries WHERE next_attempt_at_us IS NOT NULL AND webhook_id NOT IN (",
            of_disabled_users!(),
            ")"
        );
        self.attempt(|| async { read(&query(SQL).fetch_one(self.read()).await.map_err(repository)?, rows::backlog) })
            .await
    }
}

/// Adds the deliveries of a song's new status.
pub(super) async fn add_changed(step: &mut Connection, song: &Song) -> Result<(), RepositoryError> {
    match event_of(song) {
        Some(event) => add(step, song, event).await,
        None => Ok(()),
    }
}

/// Adds the deliveries of an event.
pub(super) async fn add(step: &mut Connection, song: &Song, event: WebhookEvent) -> Result<(), RepositoryError> {
    let Some(user) = song.uploader() else { return Ok(()) };
    let rows = query(engine::LOCK_WEBHOOKS).bind(user.to_string()).fetch_all(&mut *step).await.map_err(repository)?;
    for webhook in read_all(&rows, rows::webhook)?.into_iter().filter(|webhook| webhook.is_told(event)) {
        let pending: i64 =
            query_scalar("SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND next_attempt_at_us IS NOT NULL")
                .bind(webhook.id.to_string())
                .fetch_one(&mut *step)
                .await
                .map_err(repository)?;
        if pending >= i64::from(MAX_PENDING) {
            tracing::warn!(webhook = %webhook.id, %event, pending, "webhook has too many pending deliveries; event dropped");
            continue;
        }
        let now_us: i64 = query_scalar(engine::NOW_US).fetch_one(&mut *step).await.map_err(repository)?;
        let now = rows::moment(now_us).map_err(RepositoryError::Corrupt)?;
        let delivery = Delivery::new(webhook.id, event, Some(snapshot(song)), now);
        insert_delivery(&delivery)?.execute(&mut *step).await.map_err(repository)?;
    }
    Ok(())
}

/// Returns the statement that inserts a webhook.
pub(super) fn insert_webhook(webhook: &Webhook) -> Statement {
    let events: Vec<_> = webhook.events.iter().map(|event| event.name()).collect();
    query(
        "INSERT INTO webhooks (id, user_id, url, secret, events, created_at_us, failing_since_us, given_up, \
         disabled_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(webhook.id.to_string())
    .bind(webhook.user.to_string())
    .bind(webhook.url.expose().clone())
    .bind(webhook.secret.expose().clone())
    .bind(events.join(","))
    .bind(micros(webhook.created_at))
    .bind(webhook.health.failing_since.map(micros))
    .bind(i64::from(webhook.health.given_up))
    .bind(webhook.health.disabled_at.map(micros))
}

/// Returns the statement that inserts a delivery.
pub(super) fn insert_delivery(delivery: &Delivery) -> Result<Statement, RepositoryError> {
    let song = delivery.song.as_ref().map(serde_json::to_string).transpose();
    let song = song.map_err(|error| RepositoryError::Corrupt(error.into()))?;
    let statement = query(
        "INSERT INTO deliveries (id, webhook_id, event, song, created_at_us, attempts, first_attempt_at_us, \
         attempted_at_us, next_attempt_at_us, status_code, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(delivery.id.to_string())
    .bind(delivery.webhook.to_string())
    .bind(delivery.event.name())
    .bind(song)
    .bind(micros(delivery.created_at))
    .bind(i64::from(delivery.attempts))
    .bind(delivery.first_attempt_at.map(micros))
    .bind(delivery.attempted_at.map(micros))
    .bind(delivery.next_attempt_at.map(micros))
    .bind(delivery.status_code.map(i64::from))
    .bind(delivery.error.clone());
    Ok(statement)
}

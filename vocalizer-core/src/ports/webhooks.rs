//! Webhooks: the repository, and the sender.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_api::WebhookPayload;

use super::RepositoryError;
use crate::account::UserId;
use crate::secret::Secret;
use crate::webhook::{Delivery, Health, Webhook, WebhookId};

/// A delivery whose attempt the caller of [`WebhookRepository::claim_deliveries`] makes.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// The webhook.
    pub webhook: Webhook,
    /// The delivery.
    pub delivery: Delivery,
}

/// What is left to deliver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The number of pending deliveries.
    pub pending: u64,
    /// When the event of the oldest one happened.
    pub oldest: Option<OffsetDateTime>,
    /// The number of disabled webhooks.
    pub disabled: u64,
}

/// Stores webhooks and the outbox of their deliveries. It is a part of a [`SongRepository`](super::SongRepository), which
/// adds a delivery in the same step in which it changes a song: one for each webhook of the song's uploader
/// [that is told](Webhook::is_told) the event. Events are a song that [gets](crate::events::event_of) `SPLIT` or `FAILED`,
/// by any method, and a song that is removed. A webhook with [`MAX_PENDING`](crate::webhook::MAX_PENDING) pending deliveries
/// gets no more.
///
/// Times have microsecond precision. Each method is one atomic step, durable on return. A dropped future has had its
/// whole effect or none. Every method may return [`RepositoryError::Unavailable`], and those that read
/// [`RepositoryError::Corrupt`].
#[async_trait]
pub trait WebhookRepository: Send + Sync {
    /// Stores a webhook unless its owner has `max` already, and returns whether it was stored. Concurrent calls cannot
    /// exceed the maximum.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the ID is in use or the user does not exist.
    async fn insert_webhook(&self, webhook: &Webhook, max: u32) -> Result<bool, RepositoryError>;

    /// Returns the webhooks of a user, newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn webhooks_of(&self, user: UserId) -> Result<Vec<Webhook>, RepositoryError>;

    /// Deletes a webhook of a user with its deliveries, and returns whether there was one.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn delete_webhook(&self, user: UserId, id: WebhookId) -> Result<bool, RepositoryError>;

    /// Resets the [`Health`] of a user's webhook, which enables it, and returns whether there is one. Deliveries that
    /// ended stay ended.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn enable_webhook(&self, user: UserId, id: WebhookId) -> Result<bool, RepositoryError>;

    /// Adds a delivery that belongs to no change of a song.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the ID is in use or the webhook does not exist.
    async fn insert_delivery(&self, delivery: &Delivery) -> Result<(), RepositoryError>;

    /// Returns the newest deliveries of a webhook, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn deliveries(&self, webhook: WebhookId, limit: u32) -> Result<Vec<Delivery>, RepositoryError>;

    /// Claims up to `limit` webhooks that are enabled, whose user is not [disabled](super::Administration::disable), and that
    /// have a delivery due at `now`, and returns the delivery of each
    /// that has been due for the longest time. Webhooks whose last claim is the oldest come first, so that slow receivers
    /// do not delay others. Until the attempt is recorded, or `lasts` has passed, no other caller in any process gets a
    /// delivery of the same webhook.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn claim_deliveries(
        &self,
        limit: u32,
        lasts: Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<ClaimedDelivery>, RepositoryError>;

    /// Stores a delivery after its attempt and the health of its webhook, and ends the claim. If the webhook is now
    /// disabled, its pending deliveries end, with [`DISABLED`](crate::webhook::DISABLED) as error of those without one.
    ///
    /// Returns whether it was stored. It is not if another attempt was recorded since the claim, or the webhook is gone.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn record_attempt(&self, delivery: &Delivery, health: &Health) -> Result<bool, RepositoryError>;

    /// Deletes deliveries that have ended and are older than `before`, and all but the `keep` newest ended ones of each
    /// webhook. Returns their number.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_deliveries(&self, before: OffsetDateTime, keep: u32) -> Result<u64, RepositoryError>;

    /// Returns what is left to deliver, without what waits for a disabled user.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn backlog(&self) -> Result<Backlog, RepositoryError>;
}

/// A request to a webhook.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// Where to send it.
    pub url: Secret<String>,
    /// The secret that signs it.
    pub secret: Secret<String>,
    /// The time of this attempt, which is signed too.
    pub at: OffsetDateTime,
    /// The body.
    pub payload: WebhookPayload,
}

/// Sends requests to webhooks, whose addresses users choose: it must not reach what only this machine can reach.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Checks an address that a user chose, without a request and without DNS.
    ///
    /// # Errors
    ///
    /// Why it is refused, as a sentence for users.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Sends a request and returns the HTTP status of the response, whatever it is. It ends within half a minute. May be
    /// cancelled.
    ///
    /// # Errors
    ///
    /// Why there is no response, for the webhook's owner. Without the address, which may contain a secret.
    async fn send(&self, request: &WebhookRequest) -> Result<u16, String>;
}

//! Webhooks: addresses that are told when a user's songs are split, fail or are deleted.
//!
//! The rules are pure functions: when a failed delivery is attempted again, and when a webhook that keeps failing is
//! disabled. [`events`](crate::events) says which change of a song is an event.

use std::time::Duration;

use time::OffsetDateTime;
use vocalizer_api::backoff::Backoff;
use vocalizer_api::id::UserId;
pub use vocalizer_api::id::{DeliveryId, ParseDeliveryIdError, ParseWebhookIdError, WebhookId};
use vocalizer_api::{DeliveryStatus, SongView, WebhookEvent};

use crate::secret::Secret;

/// How long a delivery is attempted, from its first attempt.
pub const ATTEMPTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The pauses between the attempts of a delivery.
pub const BACKOFF: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(4 * 60 * 60));

/// A webhook is disabled after it has failed for this long …
pub const DISABLED_AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// … and this many deliveries in a row were given up.
pub const DISABLED_AFTER_GIVEN_UP: u32 = 5;

/// Most pending deliveries of a webhook. Events beyond are not delivered to it.
pub const MAX_PENDING: u32 = 10_000;

/// Longest description of a failure, in characters.
const MAX_ERROR_CHARS: usize = 200;

/// Why a pending delivery ends without an attempt.
pub const DISABLED: &str = "the webhook was disabled";

/// A stored webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The ID.
    pub id: WebhookId,
    /// The owner.
    pub user: UserId,
    /// Where events are sent. Addresses may contain secrets.
    pub url: Secret<String>,
    /// The secret that signs its deliveries.
    pub secret: Secret<String>,
    /// The events that it is told.
    pub events: Vec<WebhookEvent>,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// Whether it works.
    pub health: Health,
}

impl Webhook {
    /// Returns whether an event is delivered to this webhook.
    #[must_use]
    pub fn is_told(&self, event: WebhookEvent) -> bool {
        self.health.disabled_at.is_none() && self.events.contains(&event)
    }
}

/// Whether a webhook works. A new or enabled one has the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The first of the failures since the last success.
    pub failing_since: Option<OffsetDateTime>,
    /// How many deliveries in a row were given up.
    pub given_up: u32,
    /// When it was disabled.
    pub disabled_at: Option<OffsetDateTime>,
}

impl Health {
    /// Returns the health after an attempt of a delivery.
    ///
    /// ```
    /// use time::{Duration, OffsetDateTime};
    /// use vocalizer_core::api::WebhookEvent;
    /// use vocalizer_core::webhook::{Delivery, Health, WebhookId};
    ///
    /// let start = OffsetDateTime::UNIX_EPOCH;
    /// let mut health = Health::default();
    /// for day in 0..7 {
    ///     // Each delivery fails, and fails again after more than a day.
    ///     let mut delivery = Delivery::new(WebhookId::random(), WebhookEvent::Ping, None, start);
    ///     for at in [start + Duration::days(day), start + Duration::days(day + 2)] {
    ///         delivery = delivery.after(at, Err("timed out".to_owned()));
    ///         health = health.after(&delivery, at);
    ///     }
    ///     assert_eq!(health.disabled_at.is_some(), day >= 4);
    /// }
    /// ```
    #[must_use]
    pub fn after(self, delivery: &Delivery, at: OffsetDateTime) -> Self {
        if delivery.status() == DeliveryStatus::Delivered {
            return Self::default();
        }
        let failing_since = self.failing_since.unwrap_or(at);
        let given_up = self.given_up.saturating_add(u32::from(delivery.status() == DeliveryStatus::Failed));
        let is_broken = given_up >= DISABLED_AFTER_GIVEN_UP && at - failing_since >= DISABLED_AFTER;
        // 410: the receiver asks for no more.
        let ends = is_broken || delivery.status_code == Some(410);
        Self { failing_since: Some(failing_since), given_up, disabled_at: self.disabled_at.or(ends.then_some(at)) }
    }
}

/// A delivery of an event to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The ID, the same in every attempt.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The event.
    pub event: WebhookEvent,
    /// The song, as it was right after the event, or right before it was deleted.
    pub song: Option<SongView>,
    /// When the event happened.
    pub created_at: OffsetDateTime,
    /// The number of completed attempts.
    pub attempts: u32,
    /// When the first attempt ended.
    pub first_attempt_at: Option<OffsetDateTime>,
    /// When the last attempt ended.
    pub attempted_at: Option<OffsetDateTime>,
    /// When the next attempt is due; `None` if there is none.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// The HTTP status of the last response.
    pub status_code: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

impl Delivery {
    /// Returns a delivery that is due at once.
    #[must_use]
    pub fn new(webhook: WebhookId, event: WebhookEvent, song: Option<SongView>, created_at: OffsetDateTime) -> Self {
        Self {
            id: DeliveryId::random(),
            webhook,
            event,
            song,
            created_at,
            attempts: 0,
            first_attempt_at: None,
            attempted_at: None,
            // Not `created_at`: that may be the time of another clock.
            next_attempt_at: Some(OffsetDateTime::UNIX_EPOCH),
            status_code: None,
            error: None,
        }
    }

    /// Returns whether it has arrived.
    #[must_use]
    pub const fn status(&self) -> DeliveryStatus {
        match (self.next_attempt_at, &self.error) {
            (Some(_), _) => DeliveryStatus::Pending,
            (None, None) => DeliveryStatus::Delivered,
            (None, Some(_)) => DeliveryStatus::Failed,
        }
    }

    /// Returns the delivery after an attempt that ended with an HTTP status or an error.
    ///
    /// ```
    /// use time::OffsetDateTime;
    /// use vocalizer_core::api::{DeliveryStatus, WebhookEvent};
    /// use vocalizer_core::webhook::{Delivery, WebhookId};
    ///
    /// let now = OffsetDateTime::UNIX_EPOCH;
    /// let delivery = Delivery::new(WebhookId::random(), WebhookEvent::Ping, None, now);
    /// let failed = delivery.after(now, Ok(500));
    /// assert_eq!((failed.status(), failed.status_code), (DeliveryStatus::Pending, Some(500)));
    /// assert_eq!(failed.after(now, Ok(204)).status(), DeliveryStatus::Delivered);
    /// ```
    #[must_use]
    pub fn after(&self, at: OffsetDateTime, answer: Result<u16, String>) -> Self {
        // Stores keep microseconds.
        let at = at.truncate_to_microsecond();
        let (status_code, error) = match answer {
            Ok(status @ 200..=299) => (Some(status), None),
            Ok(status @ 300..=399) => (Some(status), Some(format!("status {status}: redirects are not followed"))),
            Ok(status) => (Some(status), Some(format!("status {status}"))),
            Err(error) => (None, Some(error.chars().take(MAX_ERROR_CHARS).collect())),
        };
        let (attempts, first_attempt_at) = (self.attempts.saturating_add(1), self.first_attempt_at.unwrap_or(at));
        let next = (at + BACKOFF.pause(attempts)).truncate_to_microsecond();
        let is_due = error.is_some() && status_code != Some(410) && next - first_attempt_at <= ATTEMPTED_FOR;
        Self {
            attempts,
            first_attempt_at: Some(first_attempt_at),
            attempted_at: Some(at),
            next_attempt_at: is_due.then_some(next),
            status_code,
            error,
            ..self.clone()
        }
    }
}

//! Webhooks, their deliveries and what they deliver, as JSON.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::SongView;
use crate::id::{DeliveryId, SongId, WebhookId};

/// What a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum WebhookEvent {
    /// A song was split.
    #[serde(rename = "song.split")]
    Split,
    /// A song could not be split.
    #[serde(rename = "song.failed")]
    Failed,
    /// A song was deleted, by its owner or at the end of its retention.
    #[serde(rename = "song.deleted")]
    Deleted,
    /// The owner tests the webhook. Every webhook gets it.
    #[serde(rename = "ping")]
    Ping,
    /// An event of a newer server, which receivers must tolerate.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// The text is not an event that a webhook can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event must be song.split, song.failed or song.deleted")]
pub struct ParseWebhookEventError;

impl WebhookEvent {
    /// The events that a webhook can choose.
    pub const SONG: [Self; 3] = [Self::Split, Self::Failed, Self::Deleted];

    /// Returns the name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Split => "song.split",
            Self::Failed => "song.failed",
            Self::Deleted => "song.deleted",
            Self::Ping => "ping",
            Self::Unknown => "unknown",
        }
    }
}

impl FromStr for WebhookEvent {
    type Err = ParseWebhookEventError;

    /// Parses one of [`Self::SONG`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::SONG.into_iter().find(|event| event.name() == text).ok_or(ParseWebhookEventError)
    }
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A webhook without its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "url", "events", "created_at", "failing_since", "disabled_at"]))
)]
#[non_exhaustive]
pub struct WebhookView {
    /// The ID.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: WebhookId,
    /// Where events are sent.
    pub url: String,
    /// The events that it is told.
    pub events: Vec<WebhookEvent>,
    /// When it was created (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub created_at: String,
    /// Since when every attempt has failed (RFC 3339); `null`, never missing, if the last one succeeded.
    pub failing_since: Option<String>,
    /// When it was disabled after repeated failure (RFC 3339); `null`, never missing, if it is enabled.
    pub disabled_at: Option<String>,
}

impl WebhookView {
    /// Returns an enabled webhook that does not fail.
    #[must_use]
    pub const fn new(id: WebhookId, url: String, events: Vec<WebhookEvent>, created_at: String) -> Self {
        Self { id, url, events, created_at, failing_since: None, disabled_at: None }
    }
}

/// Hides the address, which may contain a secret.
impl fmt::Debug for WebhookView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, url: _, events, created_at, failing_since, disabled_at } = self;
        let mut view = f.debug_struct("WebhookView");
        view.field("id", id).field("events", events).field("created_at", created_at);
        view.field("failing_since", failing_since).field("disabled_at", disabled_at).finish_non_exhaustive()
    }
}

/// The `data` of a response that lists webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhooksData {
    /// The caller's webhooks, newest first.
    pub webhooks: Vec<WebhookView>,
}

/// The `data` of a response about a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookData {
    /// The webhook.
    pub webhook: WebhookView,
}

/// The `data` of a response about a new webhook.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewWebhookData {
    /// The webhook.
    pub webhook: WebhookView,
    /// The secret that signs its deliveries. It is shown only once.
    pub secret: String,
}

/// Hides the secret.
impl fmt::Debug for NewWebhookData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewWebhookData").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// Whether a delivery has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryStatus {
    /// It will be attempted, again or for the first time.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// It was given up.
    Failed,
    /// A status of a newer server, which clients must tolerate.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// A delivery of an event to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "event", "song_id", "status", "created_at", "attempts", "attempted_at",
        "next_attempt_at", "status_code", "error"]))
)]
#[non_exhaustive]
pub struct DeliveryView {
    /// The ID: the header `webhook-id` of its requests.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: DeliveryId,
    /// The event.
    pub event: WebhookEvent,
    /// The song; `null`, never missing, for a ping.
    #[cfg_attr(feature = "schema", schemars(with = "Option<uuid::Uuid>"))]
    pub song_id: Option<SongId>,
    /// Whether it has arrived.
    pub status: DeliveryStatus,
    /// When the event happened (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub created_at: String,
    /// The number of attempts so far.
    pub attempts: u32,
    /// When the last attempt began (RFC 3339); `null`, never missing, before the first one.
    pub attempted_at: Option<String>,
    /// When the next attempt is due (RFC 3339); `null`, never missing, unless `status` is `pending`.
    pub next_attempt_at: Option<String>,
    /// The HTTP status of the last response; `null`, never missing, without one.
    pub status_code: Option<u16>,
    /// Why the last attempt failed; `null`, never missing, if it did not.
    pub error: Option<String>,
}

impl DeliveryView {
    /// Returns a delivery before its first attempt.
    #[must_use]
    pub const fn new(id: DeliveryId, event: WebhookEvent, song_id: Option<SongId>, created_at: String) -> Self {
        Self {
            id,
            event,
            song_id,
            status: DeliveryStatus::Pending,
            created_at,
            attempts: 0,
            attempted_at: None,
            next_attempt_at: None,
            status_code: None,
            error: None,
        }
    }
}

/// The `data` of a response that lists deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveriesData {
    /// The newest deliveries of the webhook, newest first.
    pub deliveries: Vec<DeliveryView>,
}

/// The `data` of a response about a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryData {
    /// The delivery.
    pub delivery: DeliveryView,
}

/// The body of a request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WebhookPayload {
    /// The ID of the delivery, as in the header `webhook-id`: the same in every attempt, so that receivers recognise
    /// repeats.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: DeliveryId,
    /// The event.
    #[serde(rename = "type")]
    pub event: WebhookEvent,
    /// When it happened (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub timestamp: String,
    /// What it happened to.
    pub data: WebhookPayloadData,
}

impl WebhookPayload {
    /// Returns the payload of an event.
    #[must_use]
    pub const fn new(id: DeliveryId, event: WebhookEvent, timestamp: String, song: Option<SongView>) -> Self {
        Self { id, event, timestamp, data: WebhookPayloadData { song } }
    }
}

/// What an event happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WebhookPayloadData {
    /// The song, as it was right after the event, or right before it was deleted. Missing in a ping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub song: Option<SongView>,
}

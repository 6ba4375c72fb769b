//! Webhooks: users create them, and the background work delivers to them.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::select;
use futures_util::stream::FuturesUnordered;
use tracing::field::Empty;

use super::accounts::random;
use super::webhook_attempts::WebhookAttempts;
use super::{ServiceError, SongService};
use crate::account::{UserId, Viewer};
use crate::api::{DeliveryStatus, DeliveryView, WebhookEvent, WebhookPayload, WebhookView};
use crate::causes::chain;
use crate::ports::{ClaimedDelivery, WebhookRepository, WebhookRequest, WebhookSender};
use crate::secret::Secret;
use crate::trace::{Kind, NewSpan, Traced};
use crate::webhook::{Delivery, Health, Webhook, WebhookId};
use crate::wire::rfc3339;

/// The prefix of a webhook's secret. The rest is base64 of the key: 64 hexadecimal digits are that too.
const SECRET_PREFIX: &str = "whsec_";

/// Longest address, in bytes.
const MAX_URL_BYTES: usize = 2000;

/// Most deliveries in a list.
const MAX_LISTED: u32 = 100;

/// Most ended deliveries that are kept per webhook, and for how long.
const KEPT: (u32, time::Duration) = (1000, time::Duration::days(30));

/// Most attempts at once.
const CONCURRENCY: usize = 16;

/// How often to look for deliveries that are due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The pause after the database failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// The longest attempt. Senders have a shorter timeout.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a claim lasts: longer than an attempt.
const CLAIM_DURATION: Duration = Duration::from_secs(60);

/// A new webhook.
#[derive(Debug)]
pub struct IssuedWebhook {
    /// The webhook as its owner sees it from now on.
    pub webhook: WebhookView,
    /// The secret that signs its deliveries. It is shown only once.
    pub secret: Secret<String>,
}

impl SongService {
    /// Creates a webhook of the viewer. It is told the events, or all events if there are none.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # struct Sender;
    /// # #[async_trait::async_trait]
    /// # impl WebhookSender for Sender {
    /// #     fn check(&self, _: &str) -> Result<(), String> { Ok(()) }
    /// #     async fn send(&self, _: &WebhookRequest) -> Result<u16, String> { Ok(200) }
    /// # }
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// # let ada = Viewer::User(UserId::random());
    /// let service = builder.with_webhooks(Arc::new(Sender)).build();
    /// let created = service.create_webhook(ada, "https://ada.example.org/songs", &[WebhookEvent::Split]).await?;
    /// assert!(created.secret.expose().starts_with("whsec_"));
    /// assert_eq!(service.webhooks(ada).await?, [created.webhook]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] without a user, [`ServiceError::Invalid`] for the address,
    /// [`ServiceError::Conflict`] at the limit of webhooks or if the server has none; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn create_webhook(
        &self,
        viewer: Viewer,
        url: &str,
        events: &[WebhookEvent],
    ) -> Result<IssuedWebhook, ServiceError> {
        let user = owner(viewer)?;
        let (Some((repository, sender)), 1..) = (self.webhook_ports(), self.max_webhooks()) else {
            return Err(ServiceError::Conflict { message: "webhooks are off on this server", field: None });
        };
        let url = url.trim();
        if url.len() > MAX_URL_BYTES {
            return Err(ServiceError::invalid("url", format!("url must have at most {MAX_URL_BYTES} bytes")));
        }
        sender.check(url).map_err(|what| ServiceError::invalid("url", what))?;
        let mut events = if events.is_empty() { WebhookEvent::SONG.to_vec() } else { events.to_vec() };
        events.sort_unstable();
        events.dedup();
        let secret = Secret::new(format!("{SECRET_PREFIX}{}", random()?));
        let webhook = Webhook {
            id: WebhookId::random(),
            user,
            url: Secret::new(url.to_owned()),
            secret: secret.clone(),
            events,
            // Stores keep microseconds.
            created_at: self.ports().clock.now().truncate_to_microsecond(),
            health: Health::default(),
        };
        if !repository.insert_webhook(&webhook, self.max_webhooks()).await? {
            let message = "too many webhooks; delete one that is no longer used";
            return Err(ServiceError::Conflict { message, field: None });
        }
        tracing::info!(webhook = %webhook.id, "webhook created");
        Ok(IssuedWebhook { webhook: webhook.into(), secret })
    }

    /// Returns the viewer's webhooks, newest first.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] without a user; [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn webhooks(&self, viewer: Viewer) -> Result<Vec<WebhookView>, ServiceError> {
        let user = owner(viewer)?;
        match self.ports().songs.webhooks() {
            Some(repository) => Ok(repository.webhooks_of(user).await?.into_iter().map(WebhookView::from).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// Returns the newest deliveries of a webhook of the viewer, newest first, at most 100.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's webhook, and those of [`Self::webhooks`].
    pub async fn deliveries(&self, viewer: Viewer, id: WebhookId) -> Result<Vec<DeliveryView>, ServiceError> {
        let (repository, _) = self.webhook(viewer, id).await?;
        let deliveries = repository.deliveries(id, MAX_LISTED).await?;
        Ok(deliveries.into_iter().map(DeliveryView::from).collect())
    }

    /// Sends a ping to a webhook of the viewer soon, and returns its delivery.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] if the webhook is disabled or a ping is pending, and those of [`Self::deliveries`].
    pub async fn test_webhook(&self, viewer: Viewer, id: WebhookId) -> Result<DeliveryView, ServiceError> {
        let (repository, webhook) = self.webhook(viewer, id).await?;
        if webhook.health.disabled_at.is_some() {
            return Err(ServiceError::Conflict { message: "the webhook is disabled; enable it first", field: None });
        }
        let is_pinged = |one: &Delivery| one.event == WebhookEvent::Ping && one.status() == DeliveryStatus::Pending;
        if repository.deliveries(id, MAX_LISTED).await?.iter().any(is_pinged) {
            let message = "a ping is pending; its delivery shows the result";
            return Err(ServiceError::Conflict { message, field: None });
        }
        let now = self.ports().clock.now().truncate_to_microsecond();
        let delivery = Delivery::new(id, WebhookEvent::Ping, None, now);
        repository.insert_delivery(&delivery).await?;
        Ok(delivery.into())
    }

    /// Enables a webhook of the viewer that was disabled after repeated failure, and returns it. Events that happened
    /// meanwhile are not delivered.
    ///
    /// # Errors
    ///
    /// Those of [`Self::deliveries`].
    pub async fn enable_webhook(&self, viewer: Viewer, id: WebhookId) -> Result<WebhookView, ServiceError> {
        let (repository, webhook) = self.webhook(viewer, id).await?;
        match repository.enable_webhook(webhook.user, id).await? {
            true => Ok(Webhook { health: Health::default(), ..webhook }.into()),
            false => Err(NO_WEBHOOK),
        }
    }

    /// Deletes a webhook of the viewer with its deliveries. A request that is under way is not stopped.
    ///
    /// # Errors
    ///
    /// Those of [`Self::deliveries`].
    pub async fn delete_webhook(&self, viewer: Viewer, id: WebhookId) -> Result<(), ServiceError> {
        let user = owner(viewer)?;
        let Some(repository) = self.ports().songs.webhooks() else { return Err(NO_WEBHOOK) };
        match repository.delete_webhook(user, id).await? {
            true => {
                tracing::info!(webhook = %id, "webhook deleted");
                Ok(())
            }
            false => Err(NO_WEBHOOK),
        }
    }

    /// Returns the most webhooks of one user; 0 if the server has none.
    #[must_use]
    pub fn max_webhooks(&self) -> u32 {
        self.webhook_ports().map_or(0, |_| self.settings().limits.max_webhooks)
    }

    /// Returns the attempts of this process to deliver to webhooks, for monitoring.
    #[must_use]
    pub fn webhook_attempts(&self) -> WebhookAttempts {
        self.attempts().read()
    }

    fn webhook_ports(&self) -> Option<(&dyn WebhookRepository, &dyn WebhookSender)> {
        self.ports().songs.webhooks().zip(self.ports().webhooks.as_deref())
    }

    async fn webhook(&self, viewer: Viewer, id: WebhookId) -> Result<(&dyn WebhookRepository, Webhook), ServiceError> {
        let user = owner(viewer)?;
        let Some(repository) = self.ports().songs.webhooks() else { return Err(NO_WEBHOOK) };
        let webhooks = repository.webhooks_of(user).await?;
        let webhook = webhooks.into_iter().find(|webhook| webhook.id == id).ok_or(NO_WEBHOOK)?;
        Ok((repository, webhook))
    }

    /// Delivers what is due, several webhooks at once. A claim is not repeated while its attempt is under way.
    pub(super) async fn keep_delivering(&self) {
        let Some((repository, sender)) = self.webhook_ports() else { return std::future::pending().await };
        let (clock, mut under_way) = (&self.ports().clock, FuturesUnordered::new());
        loop {
            let mut pause = POLL_INTERVAL;
            let free = u32::try_from(CONCURRENCY - under_way.len()).unwrap_or_default();
            if free > 0 {
                match repository.claim_deliveries(free, CLAIM_DURATION, clock.now()).await {
                    Ok(claimed) => {
                        under_way.extend(claimed.into_iter().map(|one| self.attempt(repository, sender, one)))
                    }
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "reading the deliveries of webhooks failed; retrying");
                        pause = FAILURE_PAUSE;
                    }
                }
            }
            let mut pause = pin!(clock.sleep(pause));
            if under_way.is_empty() {
                pause.await;
            } else {
                select(under_way.next(), &mut pause).await;
            }
        }
    }

    /// Makes an attempt. If it cannot be recorded, its claim expires and it is repeated.
    async fn attempt(&self, repository: &dyn WebhookRepository, sender: &dyn WebhookSender, claimed: ClaimedDelivery) {
        let (clock, ClaimedDelivery { webhook, delivery }) = (&self.ports().clock, claimed);
        let Webhook { id, url, secret, health, .. } = webhook;
        let request = WebhookRequest { url, secret, at: clock.now(), payload: payload(&delivery) };
        let new = NewSpan {
            context: self.settings().traces.context(None),
            parent: None,
            kind: Kind::Client,
            name: None,
            began: None,
            attributes: Vec::new(),
        };
        let make = |trace_id| tracing::info_span!("webhook", delivery = %delivery.id, trace_id, error = Empty);
        let sending = Traced::of(new, make);
        let span = sending.span().clone();
        let answer = sending.run(clock.within(ATTEMPT_TIMEOUT, sender.send(&request))).await;
        let answer = answer.unwrap_or_else(|| Err(format!("no response within {} s", ATTEMPT_TIMEOUT.as_secs())));
        let ended_at = clock.now();
        let delivery = delivery.after(ended_at, answer);
        self.attempts().count(delivery.error.is_none());
        match &delivery.error {
            None => {
                tracing::info!(webhook = %id, delivery = %delivery.id, event = %delivery.event, "webhook delivered");
            }
            Some(error) => {
                span.record("error", error);
                tracing::info!(webhook = %id, delivery = %delivery.id, attempts = delivery.attempts, error, "webhook failed");
            }
        }
        let now = health.after(&delivery, ended_at.truncate_to_microsecond());
        if health.disabled_at.is_none() && now.disabled_at.is_some() {
            tracing::warn!(webhook = %id, "webhook disabled after repeated failure");
        }
        if let Err(error) = repository.record_attempt(&delivery, &now).await {
            tracing::warn!(webhook = %id, error = chain(&error), "recording a delivery failed; it will be repeated");
        }
    }

    /// Deletes old deliveries.
    pub(super) async fn sweep_deliveries(&self) -> Result<(), ServiceError> {
        if let Some(repository) = self.ports().songs.webhooks() {
            let (keep, age) = KEPT;
            repository.forget_deliveries(self.ports().clock.now().saturating_sub(age), keep).await?;
        }
        Ok(())
    }
}

/// Returns the body of a delivery's requests.
fn payload(delivery: &Delivery) -> WebhookPayload {
    let Delivery { id, event, song, created_at, .. } = delivery;
    WebhookPayload::new(*id, *event, rfc3339(*created_at), song.clone())
}

const NO_WEBHOOK: ServiceError = ServiceError::NotFound { what: "webhook" };

fn owner(viewer: Viewer) -> Result<UserId, ServiceError> {
    viewer
        .user()
        .ok_or(ServiceError::Unauthenticated { message: "log in, or send an API token: webhooks belong to users" })
}

//! The state of webhooks in memory, which changes with that of songs.

use std::collections::HashSet;

use time::OffsetDateTime;
use vocalizer_api::WebhookEvent;

use crate::account::UserId;
use crate::events::{event_of, snapshot};
use crate::song::Song;
use crate::webhook::{Delivery, MAX_PENDING, Webhook, WebhookId};

/// Webhooks and the outbox of their deliveries.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    pub(super) entries: Vec<Entry>,
    /// Oldest first.
    pub(super) deliveries: Vec<Delivery>,
    pub(super) claims: u64,
    /// Disabled users, whose deliveries wait.
    pub(super) waiting_users: HashSet<UserId>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) webhook: Webhook,
    pub(super) claimed_until: Option<OffsetDateTime>,
    /// The number of its last claim.
    pub(super) last_claim: u64,
}

impl Webhooks {
    /// Adds the deliveries of a song's new status.
    pub(super) fn changed(&mut self, song: &Song) {
        if let Some(event) = event_of(song) {
            self.add(song, event);
        }
    }

    /// Adds the deliveries of an event.
    pub(super) fn add(&mut self, song: &Song, event: WebhookEvent) {
        let now = OffsetDateTime::now_utc().truncate_to_microsecond();
        for Entry { webhook, .. } in &self.entries {
            let is_full = || self.pending(webhook.id).count() >= MAX_PENDING as usize;
            if Some(webhook.user) == song.uploader() && webhook.is_told(event) && !is_full() {
                self.deliveries.push(Delivery::new(webhook.id, event, Some(snapshot(song)), now));
            }
        }
    }

    fn pending(&self, webhook: WebhookId) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().filter(move |one| one.webhook == webhook && one.next_attempt_at.is_some())
    }

    pub(super) fn entry(&mut self, id: WebhookId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.webhook.id == id)
    }
}

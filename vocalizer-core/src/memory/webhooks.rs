//! Webhooks and their deliveries in memory.

use std::cmp::Reverse;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_api::DeliveryStatus;

use super::MemorySongs;
use super::webhook_state::{Entry, Webhooks};
use crate::account::UserId;
use crate::ports::{Backlog, ClaimedDelivery, RepositoryError, WebhookRepository};
use crate::webhook::{DISABLED, Delivery, Health, Webhook, WebhookId};

#[async_trait]
impl WebhookRepository for MemorySongs {
    async fn insert_webhook(&self, webhook: &Webhook, max: u32) -> Result<bool, RepositoryError> {
        let Webhooks { entries, .. } = &mut self.state().webhooks;
        if entries.iter().any(|entry| entry.webhook.id == webhook.id) {
            return Err(RepositoryError::Conflict);
        }
        let is_stored = entries.iter().filter(|entry| entry.webhook.user == webhook.user).count() < max as usize;
        if is_stored {
            entries.push(Entry { webhook: webhook.clone(), claimed_until: None, last_claim: 0 });
        }
        Ok(is_stored)
    }

    async fn webhooks_of(&self, user: UserId) -> Result<Vec<Webhook>, RepositoryError> {
        let state = self.state();
        let webhooks = state.webhooks.entries.iter().map(|entry| &entry.webhook);
        let mut webhooks: Vec<_> = webhooks.filter(|webhook| webhook.user == user).cloned().collect();
        webhooks.sort_by_key(|webhook| (Reverse(webhook.created_at), webhook.id));
        Ok(webhooks)
    }

    async fn delete_webhook(&self, user: UserId, id: WebhookId) -> Result<bool, RepositoryError> {
        let Webhooks { entries, deliveries, .. } = &mut self.state().webhooks;
        let before = entries.len();
        entries.retain(|entry| entry.webhook.id != id || entry.webhook.user != user);
        let is_deleted = entries.len() < before;
        if is_deleted {
            deliveries.retain(|delivery| delivery.webhook != id);
        }
        Ok(is_deleted)
    }

    async fn enable_webhook(&self, user: UserId, id: WebhookId) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let Some(entry) = state.webhooks.entry(id).filter(|entry| entry.webhook.user == user) else { return Ok(false) };
        entry.webhook.health = Health::default();
        Ok(true)
    }

    async fn insert_delivery(&self, delivery: &Delivery) -> Result<(), RepositoryError> {
        let webhooks = &mut self.state().webhooks;
        let is_used = webhooks.deliveries.iter().any(|other| other.id == delivery.id);
        if is_used || webhooks.entry(delivery.webhook).is_none() {
            return Err(RepositoryError::Conflict);
        }
        webhooks.deliveries.push(delivery.clone());
        Ok(())
    }

    async fn deliveries(&self, webhook: WebhookId, limit: u32) -> Result<Vec<Delivery>, RepositoryError> {
        let state = self.state();
        let mut deliveries: Vec<_> =
            state.webhooks.deliveries.iter().filter(|delivery| delivery.webhook == webhook).cloned().collect();
        deliveries.sort_by_key(|delivery| (Reverse(delivery.created_at), delivery.id));
        deliveries.truncate(limit as usize);
        Ok(deliveries)
    }

    async fn claim_deliveries(
        &self,
        limit: u32,
        lasts: Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<ClaimedDelivery>, RepositoryError> {
        let Webhooks { entries, deliveries, claims, waiting_users } = &mut self.state().webhooks;
        entries.sort_by_key(|entry| entry.last_claim);
        let mut claimed = Vec::new();
        for entry in entries.iter_mut().filter(|entry| !waiting_users.contains(&entry.webhook.user)) {
            if claimed.len() == limit as usize {
                break;
            }
            // A claim that expires later than a new one was made before the clock was set back.
            let is_free = entry.claimed_until.is_none_or(|until| until <= now || until > now + lasts);
            let due = deliveries.iter().filter(|delivery| delivery.webhook == entry.webhook.id);
            let due = due.filter(|delivery| delivery.next_attempt_at.is_some_and(|at| at <= now));
            let oldest = due.min_by_key(|delivery| (delivery.next_attempt_at, delivery.created_at, delivery.id));
            if let (Some(delivery), true, None) = (oldest, is_free, entry.webhook.health.disabled_at) {
                *claims += 1;
                (entry.claimed_until, entry.last_claim) = (Some(now + lasts), *claims);
                claimed.push(ClaimedDelivery { webhook: entry.webhook.clone(), delivery: delivery.clone() });
            }
        }
        Ok(claimed)
    }

    async fn record_attempt(&self, delivery: &Delivery, health: &Health) -> Result<bool, RepositoryError> {
        let webhooks = &mut self.state().webhooks;
        let is_claimed = |one: &&mut Delivery| one.id == delivery.id && one.attempts + 1 == delivery.attempts;
        let Some(stored) = webhooks.deliveries.iter_mut().find(is_claimed) else { return Ok(false) };
        *stored = delivery.clone();
        if let Some(entry) = webhooks.entry(delivery.webhook) {
            (entry.claimed_until, entry.webhook.health) = (None, *health);
        }
        if health.disabled_at.is_some() {
            let is_ended = |one: &&mut Delivery| one.webhook == delivery.webhook && one.next_attempt_at.is_some();
            for pending in webhooks.deliveries.iter_mut().filter(is_ended) {
                pending.next_attempt_at = None;
                pending.error.get_or_insert_with(|| DISABLED.to_owned());
            }
        }
        Ok(true)
    }

    async fn forget_deliveries(&self, before: OffsetDateTime, keep: u32) -> Result<u64, RepositoryError> {
        let Webhooks { entries, deliveries, .. } = &mut self.state().webhooks;
        let count = deliveries.len();
        let has_ended = |one: &Delivery| one.status() != DeliveryStatus::Pending;
        for Entry { webhook, .. } in entries {
            let ended = deliveries.iter().filter(|one| one.webhook == webhook.id && has_ended(one));
            let mut ended: Vec<_> = ended.map(|one| (Reverse(one.created_at), one.id)).collect();
            ended.sort_unstable();
            let kept: Vec<_> = ended.into_iter().take(keep as usize).map(|(_, id)| id).collect();
            deliveries.retain(|one| {
                let is_kept = one.created_at >= before && kept.contains(&one.id);
                one.webhook != webhook.id || !has_ended(one) || is_kept
            });
        }
        Ok((count - deliveries.len()) as u64)
    }

    async fn backlog(&self) -> Result<Backlog, RepositoryError> {
        let Webhooks { entries, deliveries, waiting_users, .. } = &self.state().webhooks;
        let waits = |entry: &&Entry| waiting_users.contains(&entry.webhook.user);
        let waiting: Vec<_> = entries.iter().filter(waits).map(|entry| entry.webhook.id).collect();
        let is_pending = |one: &&Delivery| one.next_attempt_at.is_some() && !waiting.contains(&one.webhook);
        let pending = || deliveries.iter().filter(is_pending);
        Ok(Backlog {
            pending: pending().count() as u64,
            oldest: pending().map(|delivery| delivery.created_at).min(),
            disabled: entries.iter().filter(|entry| entry.webhook.health.disabled_at.is_some()).count() as u64,
        })
    }
}

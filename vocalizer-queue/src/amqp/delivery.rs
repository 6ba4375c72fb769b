//! A leased job.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep_until};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Job, QueueError};

use super::broker::Broker;
use super::channel::OwnedChannel;
use super::connect::lock;
use super::error::AmqpError;
use super::parked_job::ParkedJob;
use super::wire::Message;

/// A leased job and the means that hold it.
pub(super) struct HeldDelivery {
    pub(super) broker: Arc<Broker>,
    pub(super) job: Job,
    pub(super) attempt: u32,
    /// `None` once it is settled or returned.
    means: AsyncMutex<Option<Means>>,
    until: Mutex<Instant>,
}

/// How a job is held.
enum Means {
    /// An unacknowledged message on an open channel.
    Delivery { lane: OwnedChannel, delivery_tag: u64, since: Instant },
    /// A copy in a guard queue.
    ParkedJob(ParkedJob),
}

impl HeldDelivery {
    pub(super) fn new(broker: Arc<Broker>, lane: OwnedChannel, delivery_tag: u64, job: Job, attempt: u32) -> Self {
        let since = Instant::now();
        let until = Mutex::new(since + broker.settings.visibility);
        let means = AsyncMutex::new(Some(Means::Delivery { lane, delivery_tag, since }));
        Self { broker, job, attempt, means, until }
    }

    /// Returns the job to the queue when its lease expires.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            let until = *lock(&self.until);
            sleep_until(until).await;
            let mut means = self.means.lock().await;
            if means.is_none() {
                return;
            }
            if self.is_expired()
                && let Some(means) = means.take()
            {
                return self.release(means).await;
            }
        }
    }

    /// Returns the job to the queue now.
    pub(super) async fn return_to_queue(self: Arc<Self>) {
        if let Some(means) = self.means.lock().await.take() {
            self.release(means).await;
        }
    }

    /// Puts a job that no worker has begun at the end of the queue. Closing its channel would count an attempt.
    pub(super) async fn hand_back(self) {
        let hash = self.job.hash;
        let postponed = async {
            let (queue, message) = (self.broker.settings.queue.clone(), self.uncounted()?);
            Arc::new(self).settle(Some((queue, message))).await
        };
        if let Err(error) = postponed.await {
            tracing::warn!(%hash, error = %chain(&error), "handing back a job failed; the broker returns it");
        }
    }

    /// Extends the lease by the full time.
    pub(super) async fn extend(self: Arc<Self>) -> Result<(), QueueError> {
        let mut means = self.means.lock().await;
        self.ensure(&mut means).await?;
        let now = Instant::now();
        let extended = match means.as_mut() {
            Some(Means::Delivery { since, .. }) => {
                let age = since.elapsed();
                self.guard_in_time(&mut means, age).await
            }
            Some(Means::ParkedJob(guard)) => guard.renew(&self.broker, self.message()?).await,
            None => Err(QueueError::LeaseLost),
        };
        match extended {
            Ok(()) => *lock(&self.until) = now + self.broker.settings.visibility,
            Err(QueueError::LeaseLost) => self.forget(&mut means).await,
            Err(_) => {}
        }
        extended
    }

    /// Removes the job from the queue, after publishing its copy if there is one.
    pub(super) async fn settle(self: Arc<Self>, copy: Option<(String, Message)>) -> Result<(), QueueError> {
        let mut means = self.means.lock().await;
        self.ensure(&mut means).await?;
        if let Some((to, message)) = copy {
            // On failure the worker keeps the job until the lease expires. If it returned at once, it would be tried
            // and postponed in a loop while the broker blocks publishing.
            self.broker.publisher.send(&to, message).await?;
        }
        match means.take() {
            Some(Means::Delivery { lane, delivery_tag, .. }) => Ok(lane.acknowledge(delivery_tag).await?),
            Some(Means::ParkedJob(guard)) => guard.remove(&self.broker).await,
            None => Err(QueueError::LeaseLost),
        }
    }

    /// The message that republishes the job.
    pub(super) fn message(&self) -> Result<Message, AmqpError> {
        Message::of(&self.job, self.attempt)
    }

    /// The message that republishes the job as if this attempt had not been.
    pub(super) fn uncounted(&self) -> Result<Message, AmqpError> {
        Message::of(&self.job, self.attempt.saturating_sub(1))
    }

    fn is_expired(&self) -> bool {
        Instant::now() >= *lock(&self.until)
    }

    /// Fails if the lease is lost.
    async fn ensure(&self, means: &mut Option<Means>) -> Result<(), QueueError> {
        if let Some(Means::Delivery { lane, since, .. }) = means
            && !lane.is_open()
            && lane.live().is_up()
        {
            let held_s = since.elapsed().as_secs();
            tracing::warn!(
                hash = %self.job.hash,
                held_s,
                "delivery revoked by the broker; BROKER_CONSUMER_TIMEOUT_S must not exceed its consumer_timeout"
            );
        }
        let is_closed = matches!(means, Some(Means::Delivery { lane, .. }) if !lane.is_open());
        if (self.is_expired() || is_closed)
            && let Some(means) = means.take()
        {
            self.release(means).await;
        }
        if means.is_some() { Ok(()) } else { Err(QueueError::LeaseLost) }
    }

    /// Moves the job to a guard queue before the broker revokes its delivery.
    async fn guard_in_time(&self, means: &mut Option<Means>, age: Duration) -> Result<(), QueueError> {
        let limit = self.broker.settings.consumer_timeout;
        if age < limit / 2 {
            return Ok(());
        }
        match ParkedJob::over(&self.broker, self.message()?).await {
            Ok(guard) => {
                let Some(Means::Delivery { lane, delivery_tag, .. }) = means.replace(Means::ParkedJob(guard)) else {
                    return Err(QueueError::LeaseLost);
                };
                if lane.acknowledge(delivery_tag).await.is_ok() {
                    return Ok(());
                }
                // It is unknown whether the broker received the acknowledgement: it may redeliver the original, or the
                // copy is the only one left. So the copy returns to the queue.
                if let Some(means) = means.take() {
                    self.release(means).await;
                }
                Err(QueueError::LeaseLost)
            }
            Err(error) if age < limit / 4 * 3 => {
                tracing::warn!(
                    hash = %self.job.hash,
                    error = %chain(&error),
                    "moving a job to its guard queue failed; retrying"
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Drops a job whose lease is lost.
    async fn forget(&self, means: &mut Option<Means>) {
        if let Some(Means::ParkedJob(guard)) = means.take() {
            // On failure the job is delivered twice.
            let _ = guard.remove(&self.broker).await;
        }
    }

    async fn release(&self, means: Means) {
        let Means::ParkedJob(guard) = means else { return };
        let returned = async {
            self.broker.publisher.send(&self.broker.settings.queue, self.message()?).await?;
            guard.remove(&self.broker).await
        };
        if let Err(error) = returned.await {
            tracing::warn!(
                hash = %self.job.hash,
                error = %chain(&error),
                "returning a job to the queue failed; it returns when its guard queue expires"
            );
        }
    }
}

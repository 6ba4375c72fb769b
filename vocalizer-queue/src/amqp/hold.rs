//! A job that somebody has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, sleep_until};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Job, QueueError};

use super::broker::Broker;
use super::connect::lock;
use super::error::AmqpError;
use super::guard::Guard;
use super::lane::Lane;
use super::wire::Message;

/// A job, and by what it is held.
pub(super) struct Hold {
    pub(super) broker: Arc<Broker>,
    pub(super) job: Job,
    pub(super) attempt: u32,
    /// Nothing once it is settled or given back.
    means: Turn<Option<Means>>,
    until: Mutex<Instant>,
}

/// What keeps a job from everybody else.
enum Means {
    /// A message that is not acknowledged, on a channel that is open.
    Delivery { lane: Lane, delivery_tag: u64, since: Instant },
    /// A copy that nobody looks for.
    Guard(Guard),
}

impl Hold {
    pub(super) fn new(broker: Arc<Broker>, lane: Lane, delivery_tag: u64, job: Job, attempt: u32) -> Self {
        let since = Instant::now();
        let until = Mutex::new(since + broker.settings.visibility);
        let means = Turn::new(Some(Means::Delivery { lane, delivery_tag, since }));
        Self { broker, job, attempt, means, until }
    }

    /// Gives the job back when nobody has extended the lease in time.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            let until = *lock(&self.until);
            sleep_until(until).await;
            let mut means = self.means.lock().await;
            if means.is_none() {
                return;
            }
            if self.is_over()
                && let Some(means) = means.take()
            {
                return self.release(means).await;
            }
        }
    }

    /// Gives the job back now.
    pub(super) async fn give_back(self: Arc<Self>) {
        if let Some(means) = self.means.lock().await.take() {
            self.release(means).await;
        }
    }

    /// Holds the job for as long again.
    pub(super) async fn extend(self: Arc<Self>) -> Result<(), QueueError> {
        let mut means = self.means.lock().await;
        self.ensure(&mut means).await?;
        let now = Instant::now();
        let extended = match means.as_mut() {
            Some(Means::Delivery { since, .. }) => {
                let age = since.elapsed();
                self.guard_in_time(&mut means, age).await
            }
            Some(Means::Guard(guard)) => guard.renew(&self.broker, self.message()?).await,
            None => Err(QueueError::LeaseLost),
        };
        match extended {
            Ok(()) => *lock(&self.until) = now + self.broker.settings.visibility,
            Err(QueueError::LeaseLost) => self.forget(&mut means).await,
            Err(_) => {}
        }
        extended
    }

    /// Takes the job off the queue, once its copy is on another where there is one to be.
    pub(super) async fn settle(self: Arc<Self>, copy: Option<(String, Message)>) -> Result<(), QueueError> {
        let mut means = self.means.lock().await;
        self.ensure(&mut means).await?;
        if let Some((to, message)) = copy {
            // Where that fails the job stays with the one who had it, until the lease runs out: given back at once, it
            // would be tried and put off again and again for as long as the broker takes no messages.
            self.broker.publisher.send(&to, message).await?;
        }
        match means.take() {
            Some(Means::Delivery { lane, delivery_tag, .. }) => Ok(lane.acknowledge(delivery_tag).await?),
            Some(Means::Guard(guard)) => guard.remove(&self.broker).await,
            None => Err(QueueError::LeaseLost),
        }
    }

    /// The job as it goes to somebody else.
    pub(super) fn message(&self) -> Result<Message, AmqpError> {
        Message::of(&self.job, self.attempt)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= *lock(&self.until)
    }

    /// Whether the job is still ours.
    async fn ensure(&self, means: &mut Option<Means>) -> Result<(), QueueError> {
        if let Some(Means::Delivery { lane, since, .. }) = means
            && !lane.is_open()
            && lane.live().is_up()
        {
            let held_s = since.elapsed().as_secs();
            tracing::warn!(
                hash = %self.job.hash,
                held_s,
                "the broker took a job away; BROKER_CONSUMER_TIMEOUT_S must not be longer than the broker's consumer_timeout"
            );
        }
        let is_closed = matches!(means, Some(Means::Delivery { lane, .. }) if !lane.is_open());
        if (self.is_over() || is_closed)
            && let Some(means) = means.take()
        {
            self.release(means).await;
        }
        if means.is_some() { Ok(()) } else { Err(QueueError::LeaseLost) }
    }

    /// Puts a job under guard before the broker takes it away.
    async fn guard_in_time(&self, means: &mut Option<Means>, age: Duration) -> Result<(), QueueError> {
        let limit = self.broker.settings.consumer_timeout;
        if age < limit / 2 {
            return Ok(());
        }
        match Guard::over(&self.broker, self.message()?).await {
            Ok(guard) => {
                let Some(Means::Delivery { lane, delivery_tag, .. }) = means.replace(Means::Guard(guard)) else {
                    return Err(QueueError::LeaseLost);
                };
                if lane.acknowledge(delivery_tag).await.is_ok() {
                    return Ok(());
                }
                // Whether the broker has heard of it nobody knows: it may give the original to somebody else, or the copy is
                // all there is. So the copy goes back.
                if let Some(means) = means.take() {
                    self.release(means).await;
                }
                Err(QueueError::LeaseLost)
            }
            Err(error) if age < limit / 4 * 3 => {
                tracing::warn!(hash = %self.job.hash, error = %chain(&error), "a job could not be put under guard yet");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves a job that somebody else has.
    async fn forget(&self, means: &mut Option<Means>) {
        if let Some(Means::Guard(guard)) = means.take() {
            // Where that fails, it comes twice.
            let _ = guard.remove(&self.broker).await;
        }
    }

    async fn release(&self, means: Means) {
        let Means::Guard(guard) = means else { return };
        let back = async {
            self.broker.publisher.send(&self.broker.settings.queue, self.message()?).await?;
            guard.remove(&self.broker).await
        };
        if let Err(error) = back.await {
            tracing::warn!(hash = %self.job.hash, error = %chain(&error), "a job goes back later");
        }
    }
}

//! The two broker connections.

use std::sync::Arc;
use std::time::Duration;

use super::channel::OwnedChannel;
use super::connect::tls;
use super::error::AmqpError;
use super::publisher::Publisher;
use super::reconnector::Reconnector;
use super::settings::AmqpSettings;

/// Owns the publisher connection and the consumer connection.
pub(super) struct Broker {
    pub(super) settings: Arc<AmqpSettings>,
    pub(super) publisher: Publisher,
    consuming: Arc<Reconnector>,
}

impl Broker {
    pub(super) fn new(settings: AmqpSettings) -> Result<Self, AmqpError> {
        settings.check()?;
        let tls = tls(&settings)?;
        let settings = Arc::new(settings);
        let link = |role| Reconnector::new(Arc::clone(&settings), tls.clone(), role);
        let publisher = Publisher::new(link("publisher"), settings.confirm_timeout);
        let consuming = link("consumer");
        Ok(Self { settings, publisher, consuming })
    }

    /// Connects if necessary.
    pub(super) async fn check(&self) -> Result<(), AmqpError> {
        self.publisher.check().await?;
        self.consuming.live().await.map(|_| ())
    }

    /// Opens a channel for everything except publishing.
    pub(super) async fn lane(&self) -> Result<OwnedChannel, AmqpError> {
        OwnedChannel::open(self.consuming.live().await?, self.settings.confirm_timeout).await
    }

    /// If a queue is missing, retires the connection: the next one declares the queues again.
    pub(super) fn redeclare_if_missing(&self, lane: &OwnedChannel, error: &AmqpError) {
        if matches!(error, AmqpError::Missing { .. }) {
            self.consuming.retire(lane.live());
        }
    }

    /// How long a guard queue holds a job before it returns to the main queue.
    pub(super) fn guard_time(&self) -> Duration {
        (self.settings.consumer_timeout / 2).max(self.settings.visibility.saturating_mul(4))
    }
}

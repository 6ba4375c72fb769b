//! Both connections to the broker, and how they are used.

use std::sync::Arc;
use std::time::Duration;

use super::connect::tls;
use super::error::AmqpError;
use super::lane::Lane;
use super::link::Link;
use super::publisher::Publisher;
use super::settings::AmqpSettings;

/// The broker, as everything else here sees it.
pub(super) struct Broker {
    pub(super) settings: Arc<AmqpSettings>,
    pub(super) publisher: Publisher,
    consuming: Arc<Link>,
}

impl Broker {
    pub(super) fn new(settings: AmqpSettings) -> Result<Self, AmqpError> {
        settings.check()?;
        let tls = tls(&settings)?;
        let settings = Arc::new(settings);
        let link = |role| Link::new(Arc::clone(&settings), tls.clone(), role);
        let publisher = Publisher::new(link("publisher"), settings.confirm_timeout);
        let consuming = link("consumer");
        Ok(Self { settings, publisher, consuming })
    }

    /// Connects if need be.
    pub(super) async fn check(&self) -> Result<(), AmqpError> {
        self.publisher.check().await?;
        self.consuming.live().await.map(|_| ())
    }

    /// A channel for anything but publishing.
    pub(super) async fn lane(&self) -> Result<Lane, AmqpError> {
        Lane::open(self.consuming.live().await?, self.settings.confirm_timeout).await
    }

    /// Has the queues declared anew where one of them turned out to be missing.
    pub(super) fn hear(&self, lane: &Lane, error: &AmqpError) {
        if matches!(error, AmqpError::Missing { .. }) {
            self.consuming.retire(lane.live());
        }
    }

    /// How long a copy of a job waits for its worker before it is anybody's.
    pub(super) fn guard_time(&self) -> Duration {
        (self.settings.consumer_timeout / 2).max(self.settings.visibility.saturating_mul(4))
    }
}

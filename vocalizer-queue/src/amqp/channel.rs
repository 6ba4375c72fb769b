//! A channel with a single owner.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicQosOptions};
use tokio::time::timeout;

use super::connect::BrokerConnection;
use super::error::AmqpError;

/// A channel that closes when dropped, so that the broker redelivers its messages.
///
/// lapin closes a dropped channel itself, except when the creation of a consumer on it was cancelled: such a channel
/// would hold a job until the process ends.
pub(super) struct OwnedChannel {
    channel: Channel,
    live: Arc<BrokerConnection>,
    patience: Duration,
}

impl OwnedChannel {
    /// Opens a channel with a prefetch count of one. `patience` is the timeout of each request on it.
    pub(super) async fn open(live: Arc<BrokerConnection>, patience: Duration) -> Result<Self, AmqpError> {
        let channel = with_timeout(patience, live.connection().create_channel()).await?;
        let lane = Self { channel, live, patience };
        lane.await_response(lane.channel.basic_qos(1, BasicQosOptions::default())).await?;
        Ok(lane)
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(super) fn live(&self) -> &Arc<BrokerConnection> {
        &self.live
    }

    /// Whether its messages are still held, as far as this process knows.
    pub(super) fn is_open(&self) -> bool {
        self.live.is_up() && self.channel.status().connected()
    }

    /// Awaits the broker's response, with the timeout.
    pub(super) async fn await_response<T>(
        &self,
        request: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, AmqpError> {
        with_timeout(self.patience, request).await
    }

    /// Acknowledges, then closes the channel: AMQP confirms the close, which proves that the broker has seen the
    /// acknowledgement.
    pub(super) async fn acknowledge(self, delivery_tag: u64) -> Result<(), AmqpError> {
        let settled = async {
            self.channel.basic_ack(delivery_tag, BasicAckOptions::default()).await?;
            self.channel.close(200, "OK".into()).await
        };
        self.await_response(settled).await
    }

    pub(super) async fn close(self) -> Result<(), AmqpError> {
        self.await_response(self.channel.close(200, "OK".into())).await
    }
}

impl Drop for OwnedChannel {
    fn drop(&mut self) {
        if self.channel.status().connected() {
            let (channel, patience) = (self.channel.clone(), self.patience);
            // On failure the connection is gone, and the channel with it.
            self.live.runtime().spawn(async move { with_timeout(patience, channel.close(200, "OK".into())).await });
        }
    }
}

async fn with_timeout<T>(
    patience: Duration,
    request: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, AmqpError> {
    timeout(patience, request).await.map_err(|_| AmqpError::Silent { after: patience })?.map_err(AmqpError::from)
}

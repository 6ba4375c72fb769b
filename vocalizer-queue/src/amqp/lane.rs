//! A channel of one's own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicQosOptions};
use tokio::time::timeout;

use super::connect::Live;
use super::error::AmqpError;

/// A channel that closes with this value, so that the broker gives what was taken through it to somebody else.
///
/// lapin closes a dropped channel itself, but not one with a consumer whose making was dropped half-way: such a one
/// would keep a job until the process ends.
pub(super) struct Lane {
    channel: Channel,
    live: Arc<Live>,
    patience: Duration,
}

impl Lane {
    /// Opens a channel that takes one message at a time. Each question over it is waited for so long.
    pub(super) async fn open(live: Arc<Live>, patience: Duration) -> Result<Self, AmqpError> {
        let channel = answered(patience, live.connection().create_channel()).await?;
        let lane = Self { channel, live, patience };
        lane.ask(lane.channel.basic_qos(1, BasicQosOptions::default())).await?;
        Ok(lane)
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Whether what was taken through it is still ours, as far as is known here.
    pub(super) fn is_open(&self) -> bool {
        self.live.is_up() && self.channel.status().connected()
    }

    /// Waits for the answer to a question to the broker.
    pub(super) async fn ask<T>(&self, question: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, AmqpError> {
        answered(self.patience, question).await
    }

    /// Acknowledges and closes: the broker answers the second after it has seen the first, and that it does not answer
    /// at all.
    pub(super) async fn acknowledge(self, delivery_tag: u64) -> Result<(), AmqpError> {
        let settled = async {
            self.channel.basic_ack(delivery_tag, BasicAckOptions::default()).await?;
            self.channel.close(200, "OK".into()).await
        };
        self.ask(settled).await
    }

    pub(super) async fn close(self) -> Result<(), AmqpError> {
        self.ask(self.channel.close(200, "OK".into())).await
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.channel.status().connected() {
            let (channel, patience) = (self.channel.clone(), self.patience);
            // Where it does not get through, the connection is gone, and the channel with it.
            self.live.runtime().spawn(async move { answered(patience, channel.close(200, "OK".into())).await });
        }
    }
}

async fn answered<T>(
    patience: Duration,
    question: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, AmqpError> {
    timeout(patience, question).await.map_err(|_| AmqpError::Silent { after: patience })?.map_err(AmqpError::from)
}

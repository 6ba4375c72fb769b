//! Publishing with confirms.

use std::sync::Arc;
use std::time::Duration;

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use tokio::time::sleep;

use super::connect::BrokerConnection;
use super::error::AmqpError;
use super::reconnector::Reconnector;
use super::wire::Message;
use crate::finish::run_to_completion;

/// How long publishing may be blocked before a call fails.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(1);

/// Publishes over a separate connection: a broker that is low on disk space stops reading from it, and acknowledgements
/// must still get through.
pub(super) struct Publisher {
    link: Arc<Reconnector>,
    patience: Duration,
}

impl Publisher {
    pub(super) fn new(link: Arc<Reconnector>, patience: Duration) -> Self {
        Self { link, patience }
    }

    /// Connects if necessary.
    pub(super) async fn check(&self) -> Result<(), AmqpError> {
        self.link.live().await.map(|_| ())
    }

    /// Publishes a message to the queue `to`. Returns when the broker has confirmed it.
    pub(super) async fn send(&self, to: &str, message: Message) -> Result<(), AmqpError> {
        let live = self.link.live().await?;
        if live.is_blocked() {
            return Err(AmqpError::Blocked);
        }
        // To completion, because cancelling half a message would end the connection for all users.
        let sending = run_to_completion(send(Arc::clone(&live), to.to_owned(), message));
        tokio::select! {
            sent = sending => self.check_confirmation(&live, sent),
            () = sleep(self.patience) => {
                self.link.retire(&live);
                live.cut();
                Err(AmqpError::Silent { after: self.patience })
            }
            // The message is still being sent; it may or may not arrive once the broker unblocks.
            () = blocked(&live) => Err(AmqpError::Blocked),
        }
    }

    fn check_confirmation(
        &self,
        live: &Arc<BrokerConnection>,
        sent: Result<Confirmation, AmqpError>,
    ) -> Result<(), AmqpError> {
        let error = match sent {
            Ok(Confirmation::Ack(None)) => return Ok(()),
            Ok(Confirmation::Nack(None)) => return Err(AmqpError::NotTaken),
            // The queue is gone; the next connection declares it.
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => AmqpError::Returned,
            Ok(Confirmation::NotRequested) => AmqpError::lost("the channel is not in confirm mode"),
            Err(error) => error,
        };
        self.link.retire(live);
        Err(error)
    }
}

async fn send(live: Arc<BrokerConnection>, to: String, message: Message) -> Result<Confirmation, AmqpError> {
    let channel = live.confirming().await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let Message { body, properties } = message;
    let published = channel.basic_publish("".into(), to.into(), options, &body, properties).await;
    // Free the song early; it may be large.
    drop(body);
    let confirm = published.map_err(AmqpError::publishing)?;
    let confirmation = confirm.await.map_err(AmqpError::publishing)?;
    live.keep(channel);
    Ok(confirmation)
}

/// Returns when the broker has blocked publishing for [`BLOCKED_PATIENCE`].
async fn blocked(live: &BrokerConnection) {
    let step = BLOCKED_PATIENCE / 4;
    let mut for_steps = 0;
    while for_steps < 4 {
        sleep(step).await;
        for_steps = if live.is_blocked() { for_steps + 1 } else { 0 };
    }
}

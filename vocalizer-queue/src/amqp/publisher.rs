//! Publishing with confirms.

use std::sync::Arc;
use std::time::Duration;

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use tokio::task::{JoinError, spawn};
use tokio::time::sleep;

use super::connect::BrokerConnection;
use super::error::AmqpError;
use super::reconnector::Reconnector;
use super::wire::Message;

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
        // A task, because cancelling half a message would end the connection for all users.
        let sending = spawn(send(Arc::clone(&live), to.to_owned(), message));
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
        sent: Result<Result<Confirmation, lapin::Error>, JoinError>,
    ) -> Result<(), AmqpError> {
        match sent {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                // The queue is gone; the next connection declares it.
                self.link.retire(live);
                Err(AmqpError::Returned)
            }
            Ok(Ok(Confirmation::Nack(None))) => Err(AmqpError::NotTaken),
            Ok(Ok(Confirmation::NotRequested)) => {
                self.link.retire(live);
                Err(AmqpError::lost("the channel is not in confirm mode"))
            }
            Ok(Err(error)) => {
                self.link.retire(live);
                Err(AmqpError::publishing(error))
            }
            Err(_) => Err(AmqpError::lost("the program is shutting down")),
        }
    }
}

async fn send(live: Arc<BrokerConnection>, to: String, message: Message) -> Result<Confirmation, lapin::Error> {
    let channel = live.confirming().await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let Message { body, properties } = message;
    let confirm = channel.basic_publish("".into(), to.into(), options, &body, properties).await?;
    // Free the song early; it may be large.
    drop(body);
    let confirmation = confirm.await?;
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

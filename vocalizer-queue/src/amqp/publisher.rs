//! Putting messages on queues, and knowing that they are there.

use std::sync::Arc;
use std::time::Duration;

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use tokio::task::{JoinError, spawn};
use tokio::time::sleep;

use super::connect::Live;
use super::error::AmqpError;
use super::link::Link;
use super::wire::Message;

/// How long a broker that asked for no more messages may take to change its mind.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(1);

/// Publishes over a connection of its own: a broker that is short of disk reads no more from it, and acknowledgements
/// have to get through all the same.
pub(super) struct Publisher {
    link: Arc<Link>,
    patience: Duration,
}

impl Publisher {
    pub(super) fn new(link: Arc<Link>, patience: Duration) -> Self {
        Self { link, patience }
    }

    /// Connects if need be.
    pub(super) async fn check(&self) -> Result<(), AmqpError> {
        self.link.live().await.map(|_| ())
    }

    /// Puts a message on the queue `to`. On return the broker has said that it keeps it.
    pub(super) async fn send(&self, to: &str, message: Message) -> Result<(), AmqpError> {
        let live = self.link.live().await?;
        if live.is_blocked() {
            return Err(AmqpError::Blocked);
        }
        // A task, because a message that is dropped half-way would end the connection for all.
        let sending = spawn(send(Arc::clone(&live), to.to_owned(), message));
        tokio::select! {
            sent = sending => self.judge(&live, sent),
            () = sleep(self.patience) => {
                self.link.retire(&live);
                live.cut();
                Err(AmqpError::Silent { after: self.patience })
            }
            // The message stays under way, and is there or not when the broker is itself again.
            () = blocked(&live) => Err(AmqpError::Blocked),
        }
    }

    fn judge(
        &self,
        live: &Arc<Live>,
        sent: Result<Result<Confirmation, lapin::Error>, JoinError>,
    ) -> Result<(), AmqpError> {
        match sent {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
                // The queue is gone; whoever connects declares it.
                self.link.retire(live);
                Err(AmqpError::Returned)
            }
            Ok(Ok(Confirmation::Nack(None))) => Err(AmqpError::NotTaken),
            Ok(Ok(Confirmation::NotRequested)) => {
                self.link.retire(live);
                Err(AmqpError::lost("the broker was not asked to confirm"))
            }
            Ok(Err(error)) => {
                self.link.retire(live);
                Err(error.into())
            }
            Err(_) => Err(AmqpError::lost("the program ends")),
        }
    }
}

async fn send(live: Arc<Live>, to: String, message: Message) -> Result<Confirmation, lapin::Error> {
    let channel = live.confirming().await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let Message { body, properties } = message;
    let confirm = channel.basic_publish("".into(), to.into(), options, &body, properties).await?;
    // Not needed any more, and a song may be large.
    drop(body);
    let confirmation = confirm.await?;
    live.keep(channel);
    Ok(confirmation)
}

/// Ends when the broker takes no messages and does not change its mind.
async fn blocked(live: &Live) {
    let step = BLOCKED_PATIENCE / 4;
    let mut for_steps = 0;
    while for_steps < 4 {
        sleep(step).await;
        for_steps = if live.is_blocked() { for_steps + 1 } else { 0 };
    }
}

//! What has to be done again and again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use vocalizer_core::service::{AccountService, SongService};

use super::stop::stopped;

/// How often the outbox is looked into; a job is published at once, and this is for those that could not be.
const RELAY: Duration = Duration::from_secs(2);

/// How often songs, queue and blobs are compared.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// Relays and sweeps until the service stops. The first sweep is made at once: it mends what a crash left.
pub(super) async fn tend(songs: SongService, accounts: AccountService, stop: watch::Receiver<bool>) {
    let (mut relay, mut sweep) = (interval(RELAY), interval(SWEEP));
    relay.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = relay.tick() => {
                if let Err(error) = songs.relay().await {
                    tracing::warn!(%error, "jobs wait for the queue");
                }
            }
            _ = sweep.tick() => {
                if let Err(error) = songs.sweep().await {
                    tracing::warn!(%error, "a sweep was not finished");
                }
                if let Err(error) = accounts.sweep().await {
                    tracing::warn!(%error, "expired sessions were not forgotten");
                }
            }
        }
    }
}

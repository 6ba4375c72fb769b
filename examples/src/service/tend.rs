//! What has to be done again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use vocalizer_core::causes::chain;
use vocalizer_core::service::{AccountService, SongService};
use vocalizer_http::server::Readiness;

use super::stop::stopped;

/// How often the outbox is looked into; a job is published at once, and this is for those that could not be.
const RELAY: Duration = Duration::from_secs(2);

/// How often songs, queue and blobs are compared.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// How often renditions beyond the bound are looked for, beside whenever one was in use until then.
const TRIM: Duration = Duration::from_secs(60);

/// Whether jobs get from the outbox to the queue. A queue may answer and take nothing: a broker that is short of disk does.
#[derive(Default)]
pub(super) struct Outbox {
    stuck: AtomicBool,
}

#[async_trait]
impl Readiness for Outbox {
    fn name(&self) -> &'static str {
        "outbox"
    }

    async fn check(&self) -> Result<(), String> {
        if self.stuck.load(Ordering::Relaxed) { Err("jobs wait for the queue".to_owned()) } else { Ok(()) }
    }
}

/// Relays and sweeps until the service stops. The first sweep is made at once: it mends what a crash left.
pub(super) async fn tend(
    songs: SongService,
    accounts: AccountService,
    outbox: Arc<Outbox>,
    stop: watch::Receiver<bool>,
) {
    // Beside each other: a broker that lets the relay wait is no reason to leave orphans where they are.
    tokio::select! {
        () = stopped(stop) => {}
        () = relay(&songs, &outbox) => {}
        () = sweep(&songs, &accounts) => {}
        () = trim(&songs) => {}
    }
}

/// Removes renditions beyond the bound: at the start what an earlier process left, and later what was in use.
async fn trim(songs: &SongService) {
    let mut tick = interval(TRIM);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let excess = songs.excess();
        if let Err(error) = songs.trim().await {
            tracing::warn!(error = chain(&error), "renditions could not be removed");
        }
        tokio::select! {
            _ = tick.tick() => {}
            () = excess => {}
        }
    }
}

async fn relay(songs: &SongService, outbox: &Outbox) {
    let mut tick = interval(RELAY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        let wished = songs.wished();
        match songs.relay().await {
            Ok(_) => away = false,
            Err(error) => {
                // Said once, and not every two seconds.
                if !away {
                    tracing::warn!(error = chain(&error), "jobs wait for the queue");
                }
                away = true;
            }
        }
        outbox.stuck.store(away, Ordering::Relaxed);
        // A queue that is away is not asked for every upload.
        if away {
            tick.tick().await;
        } else {
            tokio::select! {
                _ = tick.tick() => {}
                () = wished => {}
            }
        }
    }
}

async fn sweep(songs: &SongService, accounts: &AccountService) {
    let mut tick = interval(SWEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = songs.sweep().await {
            tracing::warn!(error = chain(&error), "a sweep was not finished");
        }
        if let Err(error) = accounts.sweep().await {
            tracing::warn!(error = chain(&error), "expired sessions were not forgotten");
        }
    }
}

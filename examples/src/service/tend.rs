//! What has to be done again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use vocalizer_core::causes::chain;
use vocalizer_core::service::{AccountService, SongService};
use vocalizer_http::server::Readiness;

use super::stop::stopped;

/// How often the outbox is looked into; a job is published at once, and this is for those that could not be.
const RELAY: Duration = Duration::from_secs(2);

/// A job that has waited for so long to be published is reported.
const LATE: Duration = Duration::from_secs(30);

/// How often renditions beyond the bound are looked for, beside whenever one was in use until then.
const TRIM: Duration = Duration::from_secs(60);

/// Whether jobs get from the outbox to the queue. A queue may answer and take nothing: a broker that is short of disk does.
/// And a song whose bytes do not come may be left behind while others go on.
#[derive(Default)]
pub(super) struct Outbox {
    stuck: AtomicBool,
    late: AtomicBool,
}

#[async_trait]
impl Readiness for Outbox {
    fn name(&self) -> &'static str {
        "outbox"
    }

    async fn check(&self) -> Result<(), String> {
        if self.stuck.load(Ordering::Relaxed) {
            return Err("jobs wait for the queue".to_owned());
        }
        if self.late.load(Ordering::Relaxed) {
            return Err(format!("a job has waited for more than {} s to be put on the queue", LATE.as_secs()));
        }
        Ok(())
    }
}

/// Relays and sweeps until the service stops. The first sweep is made at once: it mends what a crash left.
pub(super) async fn tend(
    songs: SongService,
    accounts: AccountService,
    outbox: Arc<Outbox>,
    sweep_interval: Duration,
    stop: watch::Receiver<bool>,
) {
    // Beside each other: a broker that lets the relay wait is no reason to leave orphans where they are.
    tokio::select! {
        () = stopped(stop) => {}
        () = relay(&songs, &outbox) => {}
        () = look(&songs, &outbox) => {}
        () = sweep(&songs, &accounts, sweep_interval) => {}
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

/// Looks how long the oldest wish has been in the outbox, as far as this server knows.
async fn look(songs: &SongService, outbox: &Outbox) {
    let mut oldest = None;
    loop {
        // A database that does not answer is reported by itself.
        if let Ok(pending) = songs.repository().pending(1).await {
            let number = pending.first().map(|wish| wish.number);
            oldest = number.map(|number| match oldest {
                Some((known, since)) if known == number => (number, since),
                _ => (number, Instant::now()),
            });
        }
        let is_late = oldest.is_some_and(|(_, since)| since.elapsed() > LATE);
        outbox.late.store(is_late, Ordering::Relaxed);
        sleep(RELAY).await;
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

async fn sweep(songs: &SongService, accounts: &AccountService, every: Duration) {
    let mut tick = interval(every);
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

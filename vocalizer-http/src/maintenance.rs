//! Background tasks of a server: outbox relay, sweeps and cache trimming.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::select;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use vocalizer_core::causes::chain;
use vocalizer_core::service::{AccountService, SongService};

use crate::server::Readiness;

/// The default time between sweeps.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// How often the outbox is checked for jobs that could not be published at once.
const RELAY: Duration = Duration::from_secs(2);

/// A job that has waited longer than this to be published is reported.
const LATE: Duration = Duration::from_secs(30);

/// How often renditions over the limit are removed, in addition to when one is released.
const TRIM: Duration = Duration::from_secs(60);

/// The background tasks that a server needs beside [`Server::run`](crate::server::Server::run).
///
/// - The relay publishes the jobs of new songs, at once or as soon as the queue accepts them.
/// - The sweep requeues and removes what crashes left behind, deletes expired songs and sessions.
/// - Renditions over the cache's limit are removed.
pub struct Maintenance {
    songs: SongService,
    accounts: AccountService,
    sweep_interval: Duration,
    outbox: Arc<Outbox>,
}

impl Maintenance {
    /// Returns the tasks of these services, with a sweep every ten minutes.
    #[must_use]
    pub fn new(songs: SongService, accounts: AccountService) -> Self {
        Self { songs, accounts, sweep_interval: SWEEP, outbox: Arc::default() }
    }

    /// Sets the time between sweeps.
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// Returns the check `outbox`: whether jobs get from the outbox to the queue.
    #[must_use]
    pub fn readiness(&self) -> Arc<dyn Readiness> {
        Arc::clone(&self.outbox) as _
    }

    /// Runs until `stop` completes. The first sweep starts at once, to clean up after a crash.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { songs, accounts, sweep_interval, outbox } = self;
        // Run the tasks concurrently, so that a slow broker does not delay the sweep.
        let tasks = async {
            tokio::join!(
                relay(&songs, &outbox),
                watch_age(&songs, &outbox),
                sweep(&songs, &accounts, sweep_interval),
                trim(&songs)
            )
        };
        select(pin!(stop), pin!(tasks)).await;
    }
}

/// Whether jobs get from the outbox to the queue. A queue may respond but accept nothing, such as a broker that is short of disk
/// space, and one song's job may be stuck because its bytes cannot be read.
#[derive(Default)]
struct Outbox {
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
            return Err("queue not accepting jobs".to_owned());
        }
        if self.late.load(Ordering::Relaxed) {
            return Err(format!("a job has been waiting for more than {} s to be queued", LATE.as_secs()));
        }
        Ok(())
    }
}

/// Removes renditions over the limit: at start those of an earlier process, later those that were in use.
async fn trim(songs: &SongService) {
    let mut tick = interval(TRIM);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let excess = songs.excess();
        if let Err(error) = songs.trim().await {
            tracing::warn!(error = chain(&error), "removing renditions failed");
        }
        tokio::select! {
            _ = tick.tick() => {}
            () = excess => {}
        }
    }
}

/// Tracks how long the oldest outbox entry has been waiting, as seen by this server.
async fn watch_age(songs: &SongService, outbox: &Outbox) {
    let mut oldest = None;
    loop {
        // A database failure is reported elsewhere.
        if let Ok(pending) = songs.repository().pending(1).await {
            let number = pending.first().map(|entry| entry.number);
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
    let mut is_down = false;
    loop {
        let outbox_changed = songs.outbox_changed();
        match songs.relay().await {
            Ok(_) => is_down = false,
            Err(error) => {
                // Log only the first failure.
                if !is_down {
                    tracing::warn!(error = chain(&error), "queue not accepting jobs; retrying");
                }
                is_down = true;
            }
        }
        outbox.stuck.store(is_down, Ordering::Relaxed);
        // While the queue is down, do not retry on every upload.
        if is_down {
            tick.tick().await;
        } else {
            tokio::select! {
                _ = tick.tick() => {}
                () = outbox_changed => {}
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
            tracing::warn!(error = chain(&error), "sweep failed");
        }
        if let Err(error) = accounts.sweep().await {
            tracing::warn!(error = chain(&error), "removing expired sessions failed");
        }
    }
}

//! The background work of the services: outbox relay, sweeps and cache trimming.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join5, select};

use super::background_state::Running;
use super::{AccountService, SongService};
use crate::causes::chain;

/// How often the outbox is checked for jobs that could not be published at once.
const RELAY_INTERVAL: Duration = Duration::from_secs(2);

/// A job that has waited longer than this to be published is reported.
const LATE: Duration = Duration::from_secs(30);

/// How often renditions over the limit are removed, in addition to when one is released.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);

impl SongService {
    /// Runs the background work that a service needs. Never returns; drop the future to stop it.
    ///
    /// - The relay publishes the jobs of new songs, at once or as soon as the queue accepts them.
    /// - The sweep requeues and removes what crashes left behind, and deletes expired songs. The first one starts at once.
    /// - Renditions over the cache's limit are removed.
    /// - Events are delivered to webhooks.
    ///
    /// Without it, no job gets to the queue, and [`check_background`](Self::check_background) fails. The `Server` of
    /// `vocalizer-http` runs it. Every server of a cluster may run it.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// let background = tokio::spawn({
    ///     let service = service.clone();
    ///     async move { service.run_background(Duration::from_secs(5 * 60)).await }
    /// });
    /// # tokio::task::yield_now().await;
    /// assert_eq!(service.check_background(), Ok(()));
    /// // At a shutdown:
    /// background.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_background(&self, sweep_interval: Duration) {
        let _running = Running::begin(self.background());
        // Run concurrently, so that a slow broker does not delay the sweep.
        join5(
            self.keep_relaying(),
            self.watch_age(),
            self.keep_sweeping(sweep_interval),
            self.keep_trimming(),
            self.keep_delivering(),
        )
        .await;
    }

    /// Checks whether jobs get from the outbox to the queue.
    ///
    /// # Errors
    ///
    /// The reason why not: nothing [runs](Self::run_background), the queue accepts nothing, or a job is stuck.
    pub fn check_background(&self) -> Result<(), String> {
        let state = self.background();
        if state.running.load(Ordering::Relaxed) == 0 {
            return Err("the background work does not run: no job gets to the queue".to_owned());
        }
        if state.stuck.load(Ordering::Relaxed) {
            return Err("queue not accepting jobs".to_owned());
        }
        if state.late.load(Ordering::Relaxed) {
            return Err(format!("a job has been waiting for more than {} s to be queued", LATE.as_secs()));
        }
        Ok(())
    }

    async fn keep_relaying(&self) {
        let mut is_down = false;
        loop {
            let outbox_changed = self.outbox_changed();
            match self.relay().await {
                Ok(_) => is_down = false,
                Err(error) => {
                    // Log only the first failure.
                    if !is_down {
                        tracing::warn!(error = chain(&error), "queue not accepting jobs; retrying");
                    }
                    is_down = true;
                }
            }
            self.background().stuck.store(is_down, Ordering::Relaxed);
            let pause = self.clock().sleep(RELAY_INTERVAL);
            // While the queue is down, do not retry on every upload.
            if is_down {
                pause.await;
            } else {
                select(pin!(outbox_changed), pause).await;
            }
        }
    }

    /// Tracks how long the oldest outbox entry has been waiting, as seen by this process.
    async fn watch_age(&self) {
        let mut oldest = None;
        loop {
            // A database failure is reported elsewhere.
            if let Ok(true) = self.repository().is_holding().await {
                oldest = None;
            } else if let Ok(pending) = self.repository().pending(1).await {
                let number = pending.first().map(|entry| entry.number);
                oldest = number.map(|number| match oldest {
                    Some((known, since)) if known == number => (number, since),
                    _ => (number, self.clock().elapsed()),
                });
            }
            let waited = oldest.map(|(_, since)| self.clock().elapsed().saturating_sub(since));
            self.background().late.store(waited.is_some_and(|waited| waited > LATE), Ordering::Relaxed);
            self.clock().sleep(RELAY_INTERVAL).await;
        }
    }

    async fn keep_sweeping(&self, interval: Duration) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = chain(&error), "sweep failed");
            }
            self.clock().sleep(interval).await;
        }
    }

    /// Removes renditions over the limit: at start those of an earlier process, later those that were in use.
    async fn keep_trimming(&self) {
        loop {
            let excess = self.excess();
            if let Err(error) = self.trim().await {
                tracing::warn!(error = chain(&error), "removing renditions failed");
            }
            select(pin!(excess), self.clock().sleep(TRIM_INTERVAL)).await;
        }
    }
}

impl AccountService {
    /// Deletes expired sessions and tokens, now and at each interval. Never returns; drop the future to stop it.
    pub async fn run_background(&self, sweep_interval: Duration) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = chain(&error), "removing expired sessions failed");
            }
            self.clock().sleep(sweep_interval).await;
        }
    }
}

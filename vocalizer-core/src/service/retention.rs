//! Deletes songs at the end of their retention, and of their time in the trash.

use std::time::Duration;

use time::OffsetDateTime;

use super::song_settings::Retention;
use super::songs::SongService;
use super::trash::stored;
use super::{ServiceError, Swept};
use crate::causes::chain;
use crate::ports::Expiry;
use crate::song::{Song, StatusKind};

/// How much songs can age from one sweep to the next, whatever the clock says. Sweeps are minutes apart: a server that
/// was down catches up, and a clock that jumps ahead does not delete everything before an operator notices.
const MOST_AGEING: Duration = Duration::from_secs(60 * 60);

/// Songs per query.
const BATCH: u32 = 200;

impl SongService {
    /// Deletes songs older than their retention for good, with the same lock and rules as a deletion by the owner, and those
    /// that were in the trash long enough. Songs that wait or are being split are left for a later sweep.
    pub(super) async fn sweep_expired(&self, swept: &mut Swept) -> Result<(), ServiceError> {
        let Retention { all, anonymous } = self.settings().retention;
        let trash = self.settings().trash;
        if all.is_none() && anonymous.is_none() && trash.is_none() {
            // What an earlier setting left.
            return self.sweep_trash(None, swept).await;
        }
        let now = self.ports().clock.now();
        let time = self.ports().songs.retention_time(now, MOST_AGEING).await?;
        if now - time > time::Duration::HOUR {
            tracing::warn!(
                clock = %now, retention_time = %time,
                "clock is ahead of the retention time, which advances by at most one hour per sweep"
            );
        }
        for (kept_for, anonymous_only) in [(all, false), (anonymous, true)] {
            let Some(before) = kept_for.and_then(|kept_for| earlier(time, kept_for)) else { continue };
            loop {
                let expired = self.ports().songs.expired(Expiry { before, anonymous_only }, BATCH).await?;
                let mut removed = 0;
                for song in &expired {
                    removed += u64::from(self.expire(song).await?);
                }
                swept.expired += removed;
                // Songs that could not be removed would be listed again.
                if expired.len() < BATCH as usize || removed == 0 {
                    break;
                }
            }
        }
        match trash.map(|kept_for| earlier(time, kept_for)) {
            None => self.sweep_trash(None, swept).await,
            Some(Some(before)) => self.sweep_trash(Some(before), swept).await,
            Some(None) => Ok(()),
        }
    }

    async fn expire(&self, song: &Song) -> Result<bool, ServiceError> {
        let _lock = self.ports().coordination.lock(song.hash()).await?;
        // It may have been deleted or retried since the query.
        let now = stored(self.ports().songs.as_ref(), song.id()).await?;
        let ended = now.is_some_and(|song| matches!(song.status().kind(), StatusKind::Split | StatusKind::Failed));
        match ended {
            true => self.remove_locked(song.id()).await,
            false => Ok(false),
        }
    }

    /// Removes records of uploaders that are no longer needed.
    pub(super) async fn sweep_uploaders(&self) {
        let keep_addresses = self.settings().uploads.per_address.has_totals();
        let forgotten = self.ports().songs.forget_uploaders(self.ports().clock.now(), keep_addresses).await;
        if let Err(error) = forgotten {
            tracing::warn!(error = chain(&error), "removing old uploader records failed; the next sweep retries");
        }
    }
}

/// `None` if the result is out of range: then no song is old enough.
fn earlier(time: OffsetDateTime, by: Duration) -> Option<OffsetDateTime> {
    time.checked_sub(time::Duration::try_from(by).ok()?)
}

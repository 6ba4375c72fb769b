//! Simulated users: they upload songs, sometimes the same, and delete, retry, cancel, list and download them.

use std::sync::Arc;

use bytes::Bytes;
use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::service::{Listing, ServiceError, SongService};
use vocalizer_core::song::{SongHash, SongId};

use super::audio::{parse_stem, read_all};
use super::plan::{MINUTE, SECOND};
use super::planted::{Bug, delete_without_lock};
use super::world::World;

/// The interval at which some users act simultaneously.
const RUSH_US: u64 = 20 * SECOND;

impl World {
    /// Runs a user until the calm phase.
    pub(crate) async fn user(self: Arc<Self>) {
        let kernel = &self.kernel;
        loop {
            // Act immediately, simultaneously with others, or after a while.
            let pause_us = match kernel.below(4) {
                0 => kernel.below(SECOND),
                1 => RUSH_US - kernel.now_us() % RUSH_US + kernel.below(SECOND / 100),
                _ => kernel.below(MINUTE),
            };
            kernel.sleep(pause_us).await;
            if kernel.is_calm() {
                return;
            }
            match kernel.below(10) {
                0..=3 => self.upload().await,
                4 | 5 => self.delete().await,
                6 | 7 => self.retry().await,
                8 => self.list().await,
                // Not in runs with a planted bug, so that it is found in the same seeds as before.
                9 if kernel.plan.bug.is_none() && kernel.one_in(2) => self.cancel().await,
                _ => self.download().await,
            }
        }
    }

    async fn upload(self: &Arc<Self>) {
        let content = self.kernel.below(self.kernel.plan.contents.len() as u64) as usize;
        let bytes = self.kernel.plan.contents[content].bytes.clone();
        let uploaded = move |service: SongService| {
            let bytes = bytes.clone();
            async move {
                let mut upload = service.begin_upload(Viewer::Anonymous).await?;
                upload.write(bytes.slice(..bytes.len() / 2)).await?;
                upload.write(bytes.slice(bytes.len() / 2..)).await?;
                upload.finish("a song").await
            }
        };
        if let Ok(Ok(song)) = self.request(uploaded).await {
            let id = song.id;
            self.accepted.lock().expect("single-threaded").push((id, false));
            self.kernel.cover("uploaded");
        }
    }

    /// Returns one of the most recent uploads.
    fn random_upload(&self) -> Option<(usize, SongId)> {
        let accepted = self.accepted.lock().expect("single-threaded");
        let last = accepted.len().checked_sub(1)?;
        let index = last - self.kernel.below(accepted.len().min(4) as u64) as usize;
        Some((index, accepted[index].0))
    }

    async fn delete(self: &Arc<Self>) {
        let Some((index, id)) = self.random_upload() else { return };
        self.accepted.lock().expect("single-threaded")[index].1 = true;
        let deleted = if self.ghost.has(Bug::DeletesWithoutLock) {
            let world = Arc::clone(self);
            self.request(move |_| delete_without_lock(Arc::clone(&world), id)).await
        } else {
            self.request(move |service| async move { service.delete(Viewer::Anonymous, id).await }).await
        };
        self.kernel.note(format_args!("delete: {:?}", deleted.map(|deleted| deleted.is_ok())));
    }

    async fn retry(self: &Arc<Self>) {
        let Some((_, id)) = self.random_upload() else { return };
        let retried = self.request(move |service| async move { service.retry(Viewer::Anonymous, id).await }).await;
        self.kernel.note(format_args!("retry: {:?}", retried.map(|retried| retried.is_ok())));
    }

    async fn cancel(self: &Arc<Self>) {
        let Some((_, id)) = self.random_upload() else { return };
        let cancelled = self.request(move |service| async move { service.cancel(Viewer::Anonymous, id).await }).await;
        self.kernel.note(format_args!("cancel: {:?}", cancelled.map(|cancelled| cancelled.is_ok())));
    }

    async fn list(self: &Arc<Self>) {
        // The result is ignored: songs with equal times are ordered by random identifiers.
        let listed =
            self.request(|service| async move { service.list(Viewer::Anonymous, Listing::default()).await }).await;
        drop(listed);
    }

    /// Downloads a part and checks that it belongs to this song.
    async fn download(self: &Arc<Self>) {
        let Some((_, id)) = self.random_upload() else { return };
        let format = if self.kernel.one_in(2) { Format::Mp3 } else { Format::Flac };
        let part = self.request(move |service| fetch_part(service, id, format)).await;
        if let Ok(Ok(part)) = part {
            self.kernel.cover("downloaded");
            let hash = part.0;
            if parse_stem(&part.1, Stem::BASS).map(|(content, _)| content) != Some(self.kernel.plan.content(&hash)) {
                self.kernel.violated(format_args!("the bass of a song is {:?}", part.1));
            }
        }
    }
}

async fn fetch_part(service: SongService, id: SongId, format: Format) -> Result<(SongHash, Bytes), ServiceError> {
    let song = service.repository().find(id).await?.ok_or(ServiceError::NotFound { what: "song" })?;
    let part = service.part(Viewer::Anonymous.into(), id, Part::Bass, format).await?;
    let reader = service.open(&part, None).await?;
    let bytes = read_all(reader).await.ok_or(ServiceError::NotFound { what: "song" })?;
    Ok((*song.hash(), bytes))
}

//! Users: they upload, some of them the same, and delete, retry, listen and give up.

use std::sync::Arc;

use bytes::Bytes;
use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::service::{Listing, ServiceError, SongService};
use vocalizer_core::song::{SongHash, SongId};

use super::audio::{who_made, whole};
use super::plan::{MINUTE, SECOND};
use super::planted::{Bug, delete_without_the_lock};
use super::world::World;

/// Every so often those who wait for it all do something at once.
const RUSH_US: u64 = 20 * SECOND;

impl World {
    /// A user, until it is calm.
    pub(crate) async fn user(self: Arc<Self>) {
        let kernel = &self.kernel;
        loop {
            // Some things are done at once, some after a while, and some when others do something, too.
            let rest_us = match kernel.below(4) {
                0 => kernel.below(SECOND),
                1 => RUSH_US - kernel.now_us() % RUSH_US + kernel.below(SECOND / 100),
                _ => kernel.below(MINUTE),
            };
            kernel.sleep(rest_us).await;
            if kernel.is_calm() {
                return;
            }
            match kernel.below(10) {
                0..=3 => self.upload().await,
                4 | 5 => self.delete().await,
                6 | 7 => self.retry().await,
                8 => self.look().await,
                _ => self.listen().await,
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
        if let Ok(Ok(song)) = self.ask(uploaded).await {
            let id = song.id;
            self.accepted.lock().expect("a run has one thread").push((id, false));
            self.kernel.met("uploaded");
        }
    }

    /// Some song that somebody uploaded; mostly one of the last.
    fn some(&self) -> Option<(usize, SongId)> {
        let accepted = self.accepted.lock().expect("a run has one thread");
        let last = accepted.len().checked_sub(1)?;
        let place = last - self.kernel.below(accepted.len().min(4) as u64) as usize;
        Some((place, accepted[place].0))
    }

    async fn delete(self: &Arc<Self>) {
        let Some((place, id)) = self.some() else { return };
        self.accepted.lock().expect("a run has one thread")[place].1 = true;
        let deleted = if self.ghost.has(Bug::DeletesWithoutTheLock) {
            let world = Arc::clone(self);
            self.ask(move |_| delete_without_the_lock(Arc::clone(&world), id)).await
        } else {
            self.ask(move |service| async move { service.delete(Viewer::Anonymous, id).await }).await
        };
        self.kernel.note(format_args!("delete: {:?}", deleted.map(|deleted| deleted.is_ok())));
    }

    async fn retry(self: &Arc<Self>) {
        let Some((_, id)) = self.some() else { return };
        let retried = self.ask(move |service| async move { service.retry(Viewer::Anonymous, id).await }).await;
        self.kernel.note(format_args!("retry: {:?}", retried.map(|retried| retried.is_ok())));
    }

    async fn look(self: &Arc<Self>) {
        // What is answered is not looked at: the order of songs that came together is that of their random identifiers.
        let listed = self.ask(|service| async move { service.list(Viewer::Anonymous, Listing::default()).await }).await;
        drop(listed);
    }

    /// Whoever gets a part gets that of this song.
    async fn listen(self: &Arc<Self>) {
        let Some((_, id)) = self.some() else { return };
        let format = if self.kernel.one_in(2) { Format::Mp3 } else { Format::Flac };
        let part = self.ask(move |service| heard(service, id, format)).await;
        if let Ok(Ok(part)) = part {
            self.kernel.met("listened");
            let hash = part.0;
            if who_made(&part.1, Stem::Bass).map(|(content, _)| content) != Some(self.kernel.plan.content(&hash)) {
                self.kernel.broken(format_args!("the bass of a song is {:?}", part.1));
            }
        }
    }
}

async fn heard(service: SongService, id: SongId, format: Format) -> Result<(SongHash, Bytes), ServiceError> {
    let song = service.repository().find(id).await?.ok_or(ServiceError::NotFound { what: "song" })?;
    let part = service.part(Viewer::Anonymous.into(), id, Part::Bass, format).await?;
    let reader = service.open(&part, None).await?;
    let bytes = whole(reader).await.ok_or(ServiceError::NotFound { what: "song" })?;
    Ok((*song.hash(), bytes))
}

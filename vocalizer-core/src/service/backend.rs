//! The service as workers use it.

use std::ops::Range;

use async_trait::async_trait;

use super::ServiceError;
use super::songs::SongService;
use crate::dedupe::Advance;
use crate::part::Stem;
use crate::ports::{
    AudioError, Backend, BackendError, Blob, BlobKey, BlobStream, BlobWriter, Job, Received, StemSet, Wanted,
};
use crate::song::{FailureReason, Song, SongHash, StatusKind};

impl SongService {
    /// Returns whether the stems of a hash are wanted.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] for an unknown hash, [`ServiceError::Gone`] for one whose last song was deleted
    /// recently; [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn wanted(&self, hash: &SongHash) -> Result<Wanted, ServiceError> {
        let songs = self.ports().songs.with_hash(hash).await?;
        match wanted(&songs) {
            Wanted::Gone if self.ports().coordination.was_deleted(hash).await? => Err(ServiceError::Gone),
            Wanted::Gone => Err(ServiceError::NO_SONG),
            wanted => Ok(wanted),
        }
    }

    /// Opens the uploaded bytes, or those in `range`, for a worker.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::wanted`], and [`ServiceError::NotFound`] if the bytes were deleted meanwhile.
    pub async fn uploaded(&self, hash: &SongHash, range: Option<Range<u64>>) -> Result<Blob, ServiceError> {
        self.wanted(hash).await?;
        self.ports().blobs.open(&BlobKey::Source(*hash), range).await?.ok_or(ServiceError::NO_SONG)
    }

    /// Reads an archive with the stems of a hash and makes every song with the hash `SPLIT`. Repeating it changes
    /// nothing and succeeds.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::wanted`], before the archive is read; [`ServiceError::Invalid`] for anything but four MP3
    /// files; [`ServiceError::TooLarge`], [`ServiceError::Full`].
    pub async fn accept(&self, hash: &SongHash, archive: BlobStream) -> Result<Wanted, ServiceError> {
        self.wanted(hash).await?;
        let ports = self.ports();
        let received = ports.results.read(archive, ports.blobs.as_ref()).await?;
        self.keep(hash, received).await
    }

    async fn receive(&self, stems: &dyn StemSet) -> Result<Received, ServiceError> {
        let mut received = Received::new();
        for stem in Stem::FOUR {
            let mut blob = stems.open(stem).await?;
            let mut writer = self.ports().blobs.begin().await?;
            while let Some(chunk) = blob.next_chunk().await? {
                writer.write(chunk).await?;
            }
            received.push((stem, writer));
        }
        Ok(received)
    }

    /// Fails all songs of a hash that cannot be split.
    pub(super) async fn give_up(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), ServiceError> {
        let failed = self.ports().songs.advance(hash, &Advance::Fail(reason.clone())).await?;
        tracing::warn!(%hash, songs = failed.len(), %reason, "song failed");
        Ok(self.clear_progress(hash).await?)
    }

    /// Stores the stems and marks their songs as split, unless that is done already or the songs were deleted.
    async fn keep(&self, hash: &SongHash, mut received: Received) -> Result<Wanted, ServiceError> {
        for (stem, writer) in &mut received {
            self.check_stem(*stem, writer.as_mut()).await?;
        }
        let _lock = self.ports().coordination.lock(hash).await?;
        if self.wanted(hash).await? == Wanted::Done {
            return Ok(Wanted::Done);
        }
        for (stem, writer) in received {
            writer.commit(&BlobKey::Stem(*hash, stem)).await?;
        }
        let changed = self.ports().songs.advance(hash, &Advance::Finish).await?;
        tracing::info!(%hash, songs = changed.len(), "song split");
        self.clear_progress(hash).await?;
        Ok(Wanted::Yes)
    }

    /// Checks that a stem is a playable MP3.
    async fn check_stem(&self, stem: Stem, writer: &mut dyn BlobWriter) -> Result<(), ServiceError> {
        let file = writer.reader().await?;
        let refused = |what: &str| ServiceError::invalid("result", format!("{stem}.mp3 is not an MP3 file: {what}"));
        match self.ports().probe.probe(file).await {
            Ok(facts) if facts.format == "mp3" => Ok(()),
            Ok(facts) => Err(refused(&format!("it is {}", facts.format))),
            Err(error @ (AudioError::Full | AudioError::Failed(_))) => Err(error.into()),
            Err(error) => Err(refused(&error.to_string())),
        }
    }
}

/// `Yes` even if all songs are `FAILED`: a worker that is still busy may deliver their stems.
fn wanted(songs: &[Song]) -> Wanted {
    let has = |wanted: &[StatusKind]| songs.iter().any(|song| wanted.contains(&song.status().kind()));
    if songs.is_empty() {
        Wanted::Gone
    } else if has(&[StatusKind::Split]) {
        Wanted::Done
    } else {
        Wanted::Yes
    }
}

#[async_trait]
impl Backend for SongService {
    async fn begin(&self, hash: &SongHash) -> Result<Wanted, BackendError> {
        let songs = self.ports().songs.with_hash(hash).await.map_err(ServiceError::from)?;
        let wanted = wanted(&songs);
        if wanted == Wanted::Yes {
            self.ports().songs.advance(hash, &Advance::Begin).await.map_err(ServiceError::from)?;
            self.record_progress(hash, 0).await.map_err(ServiceError::from)?;
        }
        Ok(wanted)
    }

    async fn source(&self, job: &Job) -> Result<Option<Blob>, BackendError> {
        let opened = self.ports().blobs.open(&BlobKey::Source(job.hash), None).await;
        let opened = opened.map_err(ServiceError::from)?;
        if opened.is_none() {
            self.check_source(&job.hash).await?;
        }
        Ok(opened.map(|song| song.of_song(job.hash)))
    }

    async fn progress(&self, hash: &SongHash, percent: u8) -> Result<Wanted, BackendError> {
        let songs = self.ports().songs.with_hash(hash).await.map_err(ServiceError::from)?;
        let wanted = wanted(&songs);
        if wanted == Wanted::Yes {
            self.record_progress(hash, percent).await.map_err(ServiceError::from)?;
        }
        Ok(wanted)
    }

    async fn deliver(&self, hash: &SongHash, stems: &dyn StemSet) -> Result<Wanted, BackendError> {
        let stored = match self.wanted(hash).await {
            Ok(_) => match self.receive(stems).await {
                Ok(received) => self.keep(hash, received).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match stored {
            Err(ServiceError::Gone | ServiceError::NotFound { .. }) => Ok(Wanted::Gone),
            stored => Ok(stored?),
        }
    }

    async fn hand_back(&self, hash: &SongHash) -> Result<(), BackendError> {
        self.ports().songs.advance(hash, &Advance::HandBack).await.map_err(ServiceError::from)?;
        self.clear_progress(hash).await.map_err(ServiceError::from)?;
        Ok(())
    }

    async fn fail(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), BackendError> {
        Ok(self.give_up(hash, reason).await?)
    }
}

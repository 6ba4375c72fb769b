//! The service as workers use it.

use std::ops::Range;

use async_trait::async_trait;
use vocalizer_api::{InvalidProvenance, Provenance};

use super::ServiceError;
use super::songs::SongService;
use crate::dedupe::Advance;
use crate::part::{Format, Stem, StemFormats};
use crate::ports::{
    AudioError, AudioFacts, Backend, BackendError, Blob, BlobKey, BlobStream, BlobWriter, Job, Received, StemFile,
    StemSet, Wanted,
};
use crate::song::{FailureReason, Song, SongHash, StatusKind, StemsInfo};

impl SongService {
    /// Returns whether the stems of a [key](crate::ports::Job::key) are wanted.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] for an unknown hash, [`ServiceError::Gone`] for one whose last song was deleted
    /// recently or whose songs are all cancelled; [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn wanted(&self, hash: &SongHash) -> Result<Wanted, ServiceError> {
        let songs = self.ports().songs.with_key(hash).await?;
        match wanted(&songs) {
            // Cancelled, or deleted recently.
            Wanted::Gone if !songs.is_empty() || self.ports().coordination.was_deleted(hash).await? => {
                Err(ServiceError::Gone)
            }
            Wanted::Gone => Err(ServiceError::NO_SONG),
            wanted => Ok(wanted),
        }
    }

    /// Opens the uploaded bytes, or those in `range`, for a worker.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::wanted`], and [`ServiceError::NotFound`] if the bytes were deleted meanwhile.
    pub async fn uploaded(&self, key: &SongHash, range: Option<Range<u64>>) -> Result<Blob, ServiceError> {
        self.wanted(key).await?;
        let hash = self.hash_of(key).await?;
        self.ports().blobs.open(&BlobKey::Source(hash), range).await?.ok_or(ServiceError::NO_SONG)
    }

    /// Returns the hash of the songs with a key; the key itself if there are none.
    async fn hash_of(&self, key: &SongHash) -> Result<SongHash, ServiceError> {
        Ok(self.ports().songs.with_key(key).await?.first().map_or(*key, |song| *song.hash()))
    }

    /// Reads an archive with the stems of a hash and makes every song with the hash `SPLIT`. Repeating it changes
    /// nothing and succeeds.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::wanted`], before the archive is read; [`ServiceError::Invalid`] for anything but the stems of
    /// the model as MP3 files, undamaged FLAC files of the same length and rate, or both; [`ServiceError::TooLarge`], [`ServiceError::Full`].
    pub async fn accept(&self, hash: &SongHash, archive: BlobStream) -> Result<Wanted, ServiceError> {
        self.wanted(hash).await?;
        let ports = self.ports();
        let received = ports.results.read(archive, ports.blobs.as_ref()).await?;
        self.keep(hash, received).await
    }

    async fn receive(&self, stems: &dyn StemSet) -> Result<Received, ServiceError> {
        let mut received = Received { provenance: stems.provenance().cloned(), ..Received::default() };
        for &format in stems.formats().formats() {
            for stem in stems.stems() {
                let mut blob = stems.open_as(stem, format).await?;
                let mut writer = self.ports().blobs.begin().await?;
                while let Some(chunk) = blob.next_chunk().await? {
                    writer.write(chunk).await?;
                }
                received.files.push(StemFile { stem, format, writer });
            }
        }
        Ok(received)
    }

    /// Records that a worker has the model of these songs: while it is busy, it asks for no job.
    async fn split_by_worker(&self, songs: &[Song]) {
        if let Some(song) = songs.first() {
            self.model_seen(&self.model_of_song(song)).await;
        }
    }

    /// Fails all songs of a key that cannot be split.
    pub(super) async fn give_up(&self, hash: &SongHash, reason: &FailureReason) -> Result<(), ServiceError> {
        let failed = self.ports().songs.advance(hash, &Advance::Fail(reason.clone())).await?;
        tracing::warn!(%hash, songs = failed.len(), %reason, "song failed");
        self.count_failure(&failed);
        Ok(self.clear_progress(hash).await?)
    }

    /// Stores the stems and marks their songs as split, unless that is done already or the songs were deleted.
    async fn keep(&self, hash: &SongHash, mut received: Received) -> Result<Wanted, ServiceError> {
        let delivered = received.files.iter().map(|file| file.stem).collect();
        let names = self.check_names(hash, delivered).await?;
        let formats = self.check_result(&mut received).await?;
        let source = self.hash_of(hash).await?;
        let _lock = self.ports().coordination.lock(&source).await?;
        // The sweep locks what it removes, which is the key of a further model's result.
        let _key_lock = if source == *hash { None } else { Some(self.ports().coordination.lock(hash).await?) };
        if self.wanted(hash).await? == Wanted::Done {
            return Ok(Wanted::Done);
        }
        let Received { files, provenance } = received;
        for StemFile { stem, format, writer } in files {
            let is_lossless = format == Format::Flac;
            let key = if is_lossless { BlobKey::Lossless(*hash, stem) } else { BlobKey::Stem(*hash, stem) };
            writer.commit(&key).await?;
        }
        let stems = StemsInfo { formats, provenance, names, ..StemsInfo::MP3 };
        let changed = self.ports().songs.advance(hash, &Advance::Finish(stems.clone())).await?;
        self.count_split(&changed, &stems);
        tracing::info!(%hash, songs = changed.len(), "song split");
        self.clear_progress(hash).await?;
        Ok(Wanted::Yes)
    }

    /// Checks that the model has exactly these stems, and returns their names unless they are [`Stem::FOUR`]. Original
    /// workers deliver these four whatever the default model is.
    async fn check_names(&self, key: &SongHash, mut names: Vec<Stem>) -> Result<Option<Vec<Stem>>, ServiceError> {
        names.sort_unstable();
        names.dedup();
        let songs = self.ports().songs.with_key(key).await?;
        let due = match songs.first() {
            Some(song) => self.models().find(self.model_of_song(song).as_str()).map(|model| model.stems.clone()),
            None => None,
        };
        let is_first = songs.first().is_none_or(|song| song.hash() == key);
        if names == Stem::FOUR && is_first {
            return Ok(None);
        }
        if let Some(due) = due.filter(|due| *due != names) {
            let listed = |stems: &[Stem]| stems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let what = format!("the result has {}; the model has {}", listed(&names), listed(&due));
            return Err(ServiceError::invalid("result", what));
        }
        Ok((names != Stem::FOUR).then_some(names))
    }

    /// Checks that the stems are playable and that lossless ones are undamaged and fit each other. Returns their formats.
    async fn check_result(&self, received: &mut Received) -> Result<StemFormats, ServiceError> {
        let refused = |error: InvalidProvenance| ServiceError::invalid("result", error);
        received.provenance.as_ref().map_or(Ok(()), Provenance::check).map_err(refused)?;
        let (mut lossy, mut lossless) = (false, None);
        for StemFile { stem, format, writer } in &mut received.files {
            let facts = self.check_stem(*stem, *format, writer.as_mut()).await?;
            if *format == Format::Mp3 {
                lossy = true;
                continue;
            }
            let shape = (facts.rate_hz, facts.duration_ms);
            if *lossless.get_or_insert(shape) != shape {
                let what = format!("{stem}.flac has another length or sample rate than the stem before it");
                return Err(ServiceError::invalid("result", what));
            }
        }
        Ok(match (lossless.is_some(), lossy) {
            (true, true) => StemFormats::Both,
            (true, false) => StemFormats::Flac,
            (false, _) => StemFormats::Mp3,
        })
    }

    /// Checks that a stem is a playable file of its format.
    async fn check_stem(
        &self,
        stem: Stem,
        format: Format,
        writer: &mut dyn BlobWriter,
    ) -> Result<AudioFacts, ServiceError> {
        let (file, probe) = (writer.reader().await?, &self.ports().probe);
        let checked = match format {
            Format::Mp3 => probe.probe(file).await,
            // All other formats are made from it later, when the worker no longer has it.
            _ => probe.verify(file).await,
        };
        let refused = |what: &str| {
            let message = match format {
                Format::Mp3 => format!("{stem}.mp3 is not an MP3 file: {what}"),
                _ => format!("{stem}.{format} is not a complete FLAC file: {what}"),
            };
            ServiceError::invalid("result", message)
        };
        match checked {
            Ok(facts) if facts.format == format.extension() => Ok(facts),
            Ok(facts) => Err(refused(&format!("it is {}", facts.format))),
            Err(error @ (AudioError::Full | AudioError::Failed(_))) => Err(error.into()),
            Err(error) => Err(refused(&error.to_string())),
        }
    }
}

/// `Yes` even if all songs are `FAILED`: a worker that is still busy may deliver their stems. `Gone` if all are
/// cancelled, so that it stops.
fn wanted(songs: &[Song]) -> Wanted {
    let has = |wanted: &[StatusKind]| songs.iter().any(|song| wanted.contains(&song.status().kind()));
    if songs.iter().all(|song| song.status().is_cancelled()) {
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
        let songs = self.ports().songs.with_key(hash).await.map_err(ServiceError::from)?;
        let wanted = wanted(&songs);
        if wanted == Wanted::Yes {
            self.ports().songs.advance(hash, &Advance::Begin).await.map_err(ServiceError::from)?;
            self.record_progress(hash, 0).await.map_err(ServiceError::from)?;
            self.split_by_worker(&songs).await;
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
        let songs = self.ports().songs.with_key(hash).await.map_err(ServiceError::from)?;
        let wanted = wanted(&songs);
        if wanted == Wanted::Yes {
            self.record_progress(hash, percent).await.map_err(ServiceError::from)?;
            self.split_by_worker(&songs).await;
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

//! What can be downloaded of a song.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::StreamExt as _;

use super::ServiceError;
use super::cache::Pin;
use super::songs::SongService;
use crate::account::{Client, Viewer};
use crate::part::{Format, Part, Stem};
use crate::ports::{Blob, BlobKey, BlobWriter, Peaks};
use crate::song::{Song, SongHash, SongId, Status, Title};

/// A part as a file: there, with its size, and not read yet. What was made stays as long as this or what it was opened as.
#[derive(Debug, Clone)]
pub struct PartFile {
    key: BlobKey,
    /// In use, where it is one of those that may be removed.
    pin: Option<Arc<Pin>>,
    /// How large it is.
    pub size_bytes: u64,
    /// Changes whenever the bytes do.
    pub tag: String,
    /// The title of its song.
    pub title: Title,
    /// Whether its bytes are of the format that was asked for, or whatever was uploaded.
    pub origin: Origin,
}

/// What is known of a part without making it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartInfo {
    /// The title of its song.
    pub title: Title,
    /// Its file; `None` for a rendition that [`SongService::part`] would make.
    pub file: Option<PartFile>,
}

/// How loud each of [`Stem::FOUR`] is in a mix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels([f32; Stem::FOUR.len()]);

impl Levels {
    /// The loudest there is: twice as loud as the stem, or 6 dB more.
    pub const MOST: f32 = 2.0;

    /// Every stem as it is.
    pub const PLAIN: Self = Self([1.0; Stem::FOUR.len()]);

    /// With one stem's samples multiplied by `gain`; `None` for a gain that is not from 0 to [`Self::MOST`], and for a stem
    /// that is none of the four.
    #[must_use]
    pub fn with(mut self, stem: Stem, gain: f32) -> Option<Self> {
        let place = Stem::FOUR.iter().position(|&four| four == stem)?;
        *self.0.get_mut(place)? = Some(gain).filter(|gain| (0.0..=Self::MOST).contains(gain))?;
        Some(self)
    }
}

/// A mix of a song's stems.
pub struct Mix {
    /// The title of its song.
    pub title: Title,
    /// Its bytes.
    pub blob: Blob,
}

/// Where the bytes of a part come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are the upload, in whatever format it is.
    Upload,
    /// They were made here or by a worker, in the format that was asked for.
    Made,
}

impl SongService {
    /// A part of a song, in a format.
    ///
    /// `song.mp3` is the upload as it is, which is what the contract promises. Stems are kept as MP3; other formats and the
    /// accompaniment are made when they are asked for, which takes a few seconds, and kept as long as there is room. Clients
    /// have them made in turn. When the call is dropped, so is the work, unless others wait for the same.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::NotReady`] while the song waits or is
    /// split; [`ServiceError::NotSplit`] when that failed; [`ServiceError::Busy`] when too much is being made, or this takes
    /// too long; [`ServiceError::Full`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn part(&self, client: Client, id: SongId, part: Part, format: Format) -> Result<PartFile, ServiceError> {
        let song = self.with_part(client.viewer, id, part).await?;
        let key = key(*song.hash(), part, format);
        if let Some(file) = self.file(&song, key).await? {
            return Ok(file);
        }
        let _pin = match key {
            BlobKey::Rendition(hash, ..) => {
                let work = move |service: Self| async move { service.render(hash, part, format).await };
                Some(self.make(client.share(), key, work).await?)
            }
            _ => None,
        };
        match self.file(&song, key).await? {
            Some(file) => Ok(file),
            None => Err(self.missing(id, key).await?),
        }
    }

    /// What is known of a part in a format without making it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`] but [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn part_info(
        &self,
        viewer: Viewer,
        id: SongId,
        part: Part,
        format: Format,
    ) -> Result<PartInfo, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        let key = key(*song.hash(), part, format);
        let file = self.file(&song, key).await?;
        if file.is_none() && !matches!(key, BlobKey::Rendition(..)) {
            return Err(self.missing(id, key).await?);
        }
        Ok(PartInfo { title: song.title().clone(), file })
    }

    /// Why a blob is missing that a song should have: the song was deleted just now, or something took its bytes away.
    async fn missing(&self, id: SongId, key: BlobKey) -> Result<ServiceError, ServiceError> {
        Ok(match self.ports().songs.find(id).await? {
            None => ServiceError::NO_SONG,
            Some(_) => ServiceError::Internal(format!("the blob {key} is missing").into()),
        })
    }

    /// How loud a part is over its length: made when it is asked for and kept, like another format.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`].
    pub async fn peaks(&self, client: Client, id: SongId, part: Part) -> Result<Peaks, ServiceError> {
        let song = self.with_part(client.viewer, id, part).await?;
        let key = BlobKey::Peaks(*song.hash(), part);
        if let Some(peaks) = self.kept_peaks(&key).await? {
            return Ok(peaks);
        }
        let work = move |service: Self| async move { service.draw(key, part).await };
        let _pin = self.make(client.share(), key, work).await?;
        match self.kept_peaks(&key).await? {
            Some(peaks) => Ok(peaks),
            None => Err(self.missing(id, key).await?),
        }
    }

    /// Makes peaks and keeps them.
    async fn draw(&self, key: BlobKey, part: Part) -> Result<(), ServiceError> {
        if self.kept_peaks(&key).await?.is_some() {
            return Ok(());
        }
        let peaks = self.ports().renderer.peaks(self.sources(key.hash(), part).await?).await?;
        let bytes = peaks.to_bytes();
        let size_bytes = bytes.len() as u64;
        let mut writer = self.ports().blobs.begin().await?;
        writer.write(bytes.into()).await?;
        self.keep_made(writer, &key, size_bytes).await
    }

    /// The peaks of a part if they were made before.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`] but [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn known_peaks(&self, viewer: Viewer, id: SongId, part: Part) -> Result<Option<Peaks>, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        self.kept_peaks(&BlobKey::Peaks(*song.hash(), part)).await
    }

    /// The stored peaks, if they can be read.
    async fn kept_peaks(&self, key: &BlobKey) -> Result<Option<Peaks>, ServiceError> {
        let pin = self.made().cache.pin(*key).await;
        let Some(mut blob) = self.ports().blobs.open(key, None).await? else { return Ok(None) };
        pin.is(blob.size_bytes());
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Peaks::from_bytes(&bytes))
    }

    /// The stems of a song, each as loud as asked for, added up into one file that is not kept. It is made in turn, as other
    /// formats are; reading it slowly holds up nobody.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] when none is to be heard, and those of [`Self::part`].
    pub async fn mix(&self, client: Client, id: SongId, levels: &Levels, format: Format) -> Result<Mix, ServiceError> {
        let song = self.mixable(client.viewer, id, levels).await?;
        let held = self.hold_mix(client.share())?;
        let mix = async {
            let mut tracks = Vec::new();
            for (stem, gain) in Stem::FOUR.into_iter().zip(levels.0).filter(|&(_, gain)| gain > 0.0) {
                let key = BlobKey::Stem(*song.hash(), stem);
                tracks.push((self.ports().blobs.open(&key, None).await?.ok_or(ServiceError::NO_SONG)?, gain));
            }
            Ok::<_, ServiceError>(self.ports().renderer.mix(tracks, format).await?)
        };
        let blob = self.make_once(client.share(), mix).await?;
        let passing = self.made().cache.pass(blob.size_bytes());
        self.trim_or_warn().await;
        Ok(Mix { title: song.title().clone(), blob: with_guard(blob, (held, passing)) })
    }

    /// The title of the song that [`Self::mix`] would mix. Nothing is made.
    ///
    /// # Errors
    ///
    /// Those of [`Self::mix`] but [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn mix_title(&self, viewer: Viewer, id: SongId, levels: &Levels) -> Result<Title, ServiceError> {
        Ok(self.mixable(viewer, id, levels).await?.title().clone())
    }

    /// A song that can be mixed at these levels.
    async fn mixable(&self, viewer: Viewer, id: SongId, levels: &Levels) -> Result<Song, ServiceError> {
        // Any stem will do: a song has all of them or none.
        let song = self.with_part(viewer, id, Part::Vocals).await?;
        if levels.0.iter().all(|&gain| gain == 0.0) {
            return Err(ServiceError::invalid("vocals", "a mix needs a stem that is to be heard"));
        }
        Ok(song)
    }

    /// A song whose part can be had.
    async fn with_part(&self, viewer: Viewer, id: SongId, part: Part) -> Result<Song, ServiceError> {
        let song = self.visible(viewer, id).await?;
        match song.status() {
            _ if part == Part::Song => Ok(song),
            Status::Split => Ok(song),
            Status::Failed { reason } => Err(ServiceError::NotSplit { reason: reason.to_string() }),
            Status::Uploading | Status::Uploaded | Status::Splitting => {
                Err(ServiceError::NotReady { retry_after: self.settings().retry_after })
            }
        }
    }

    /// Opens a part, or the bytes of it in `range`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] when it was deleted meanwhile; [`ServiceError::Unavailable`].
    pub async fn open(&self, file: &PartFile, range: Option<Range<u64>>) -> Result<Blob, ServiceError> {
        let blob = self.ports().blobs.open(&file.key, range).await?.ok_or(ServiceError::NO_SONG)?;
        Ok(match &file.pin {
            Some(pin) => with_guard(blob, Arc::clone(pin)),
            None => blob,
        })
    }

    async fn file(&self, song: &Song, key: BlobKey) -> Result<Option<PartFile>, ServiceError> {
        // Before it is looked for, so that it is not removed in between.
        let pin = match key {
            BlobKey::Rendition(..) => Some(Arc::new(self.made().cache.pin(key).await)),
            _ => None,
        };
        let Some(blob) = self.ports().blobs.open(&key, None).await? else { return Ok(None) };
        let size_bytes = blob.size_bytes();
        if let Some(pin) = &pin {
            pin.is(size_bytes);
        }
        let origin = if matches!(key, BlobKey::Source(_)) { Origin::Upload } else { Origin::Made };
        Ok(Some(PartFile { key, pin, size_bytes, tag: blob.tag().to_owned(), title: song.title().clone(), origin }))
    }

    /// Makes a rendition and keeps it.
    async fn render(&self, hash: SongHash, part: Part, format: Format) -> Result<(), ServiceError> {
        let key = BlobKey::Rendition(hash, part, format);
        let blobs = &self.ports().blobs;
        // Since it was looked for, others may have made it.
        if blobs.size_bytes(&key).await?.is_some() {
            return Ok(());
        }
        let mut rendered = self.ports().renderer.render(self.sources(&hash, part).await?, format).await?;
        let size_bytes = rendered.size_bytes();
        let mut writer = blobs.begin().await?;
        while let Some(chunk) = rendered.next_chunk().await? {
            writer.write(chunk).await?;
        }
        self.keep_made(writer, &key, size_bytes).await
    }

    /// What a part is the sum of, opened.
    async fn sources(&self, hash: &SongHash, part: Part) -> Result<Vec<Blob>, ServiceError> {
        let sources = match part.stem() {
            Some(stem) => vec![BlobKey::Stem(*hash, stem)],
            None if part == Part::Song => vec![BlobKey::Source(*hash)],
            None => Stem::FOUR
                .into_iter()
                .filter(|&stem| stem != Stem::Vocals)
                .map(|stem| BlobKey::Stem(*hash, stem))
                .collect(),
        };
        let mut blobs = Vec::new();
        for source in sources {
            blobs.push(self.ports().blobs.open(&source, None).await?.ok_or(ServiceError::NO_SONG)?);
        }
        Ok(blobs)
    }

    /// Keeps what was made of a song, unless its last was deleted meanwhile: then nothing may be stored under its hash.
    async fn keep_made(&self, writer: Box<dyn BlobWriter>, key: &BlobKey, size_bytes: u64) -> Result<(), ServiceError> {
        let _stays = self.ports().commons.lock(key.hash()).await?;
        if self.ports().songs.with_hash(key.hash()).await?.is_empty() {
            return Err(ServiceError::NO_SONG);
        }
        // Counted before it is there: nobody would, if this ended in between.
        let pin = self.made().cache.pin(*key).await;
        pin.is(size_bytes);
        if let Err(error) = writer.commit(key).await {
            pin.is(0);
            return Err(error.into());
        }
        Ok(())
    }
}

/// A blob that keeps something until it is dropped.
fn with_guard(blob: Blob, guard: impl Send + 'static) -> Blob {
    let (size_bytes, tag) = (blob.size_bytes(), blob.tag().to_owned());
    let guarded = blob.map(move |chunk| {
        let _ = &guard;
        chunk
    });
    Blob::new(size_bytes, tag, guarded)
}

/// What a part is stored as. Only a rendition can be made anew.
const fn key(hash: SongHash, part: Part, format: Format) -> BlobKey {
    match (part, part.stem(), format) {
        (Part::Song, _, Format::Mp3) => BlobKey::Source(hash),
        (_, Some(stem), Format::Mp3) => BlobKey::Stem(hash, stem),
        _ => BlobKey::Rendition(hash, part, format),
    }
}

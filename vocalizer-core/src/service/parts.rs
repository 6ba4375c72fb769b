//! What can be downloaded of a song.

use std::ops::Range;

use super::ServiceError;
use super::songs::SongService;
use crate::account::Viewer;
use crate::part::{Format, Part, Stem};
use crate::ports::{Blob, BlobKey, BlobWriter, Peaks};
use crate::song::{Song, SongHash, SongId, Status, Title};

/// A part as a file: there, with its size, and not read yet.
#[derive(Debug, Clone)]
pub struct PartFile {
    key: BlobKey,
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
    /// accompaniment are made when they are first asked for, which takes a few seconds, and kept.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::NotReady`] while the song waits or is
    /// split; [`ServiceError::NotSplit`] when that failed; [`ServiceError::Full`], [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn part(&self, viewer: Viewer, id: SongId, part: Part, format: Format) -> Result<PartFile, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        let key = key(*song.hash(), part, format);
        if let Some(file) = self.file(&song, key).await? {
            return Ok(file);
        }
        if matches!(key, BlobKey::Rendition(..)) {
            self.render(&song, part, format).await?;
        }
        match self.file(&song, key).await? {
            Some(file) => Ok(file),
            None => Err(self.missing(id, key).await?),
        }
    }

    /// What is known of a part in a format without making it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`] but [`ServiceError::Full`].
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

    /// How loud a part is over its length: made when it is first asked for, and kept.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`].
    pub async fn peaks(&self, viewer: Viewer, id: SongId, part: Part) -> Result<Peaks, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        let key = BlobKey::Peaks(*song.hash(), part);
        let _one_at_a_time = self.rendering().lock(song.hash()).await;
        if let Some(peaks) = self.kept_peaks(&key).await? {
            return Ok(peaks);
        }
        let peaks = self.ports().renderer.peaks(self.sources(song.hash(), part).await?).await?;
        let mut writer = self.ports().blobs.begin().await?;
        writer.write(peaks.to_bytes().into()).await?;
        self.keep_made(writer, &key).await?;
        Ok(peaks)
    }

    /// The peaks of a part if they were made before.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`] but [`ServiceError::Full`].
    pub async fn known_peaks(&self, viewer: Viewer, id: SongId, part: Part) -> Result<Option<Peaks>, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        self.kept_peaks(&BlobKey::Peaks(*song.hash(), part)).await
    }

    /// The stored peaks, if they can be read.
    async fn kept_peaks(&self, key: &BlobKey) -> Result<Option<Peaks>, ServiceError> {
        let Some(mut blob) = self.ports().blobs.open(key, None).await? else { return Ok(None) };
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Peaks::from_bytes(&bytes))
    }

    /// The stems of a song, each as loud as asked for, added up into one file that is not kept.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] when none is to be heard, and those of [`Self::part`].
    pub async fn mix(&self, viewer: Viewer, id: SongId, levels: &Levels, format: Format) -> Result<Mix, ServiceError> {
        let song = self.mixable(viewer, id, levels).await?;
        let mut tracks = Vec::new();
        for (stem, gain) in Stem::FOUR.into_iter().zip(levels.0).filter(|&(_, gain)| gain > 0.0) {
            let key = BlobKey::Stem(*song.hash(), stem);
            tracks.push((self.ports().blobs.open(&key, None).await?.ok_or(ServiceError::NO_SONG)?, gain));
        }
        let blob = self.ports().renderer.mix(tracks, format).await?;
        Ok(Mix { title: song.title().clone(), blob })
    }

    /// The title of the song that [`Self::mix`] would mix. Nothing is made.
    ///
    /// # Errors
    ///
    /// Those of [`Self::mix`] but [`ServiceError::Full`].
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
        self.ports().blobs.open(&file.key, range).await?.ok_or(ServiceError::NO_SONG)
    }

    async fn file(&self, song: &Song, key: BlobKey) -> Result<Option<PartFile>, ServiceError> {
        let Some(blob) = self.ports().blobs.open(&key, None).await? else { return Ok(None) };
        let origin = if matches!(key, BlobKey::Source(_)) { Origin::Upload } else { Origin::Made };
        let title = song.title().clone();
        Ok(Some(PartFile { key, size_bytes: blob.size_bytes(), tag: blob.tag().to_owned(), title, origin }))
    }

    /// Makes a rendition and keeps it; of those who ask at the same time, one works and the others wait.
    async fn render(&self, song: &Song, part: Part, format: Format) -> Result<(), ServiceError> {
        let hash = *song.hash();
        let _one_at_a_time = self.rendering().lock(&hash).await;
        let key = BlobKey::Rendition(hash, part, format);
        let blobs = &self.ports().blobs;
        if blobs.size_bytes(&key).await?.is_some() {
            return Ok(());
        }
        let mut rendered = self.ports().renderer.render(self.sources(&hash, part).await?, format).await?;
        let mut writer = blobs.begin().await?;
        while let Some(chunk) = rendered.next_chunk().await? {
            writer.write(chunk).await?;
        }
        self.keep_made(writer, &key).await
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
    async fn keep_made(&self, writer: Box<dyn BlobWriter>, key: &BlobKey) -> Result<(), ServiceError> {
        let _stays = self.ports().commons.lock(key.hash()).await?;
        if self.ports().songs.with_hash(key.hash()).await?.is_empty() {
            return Err(ServiceError::NO_SONG);
        }
        writer.commit(key).await?;
        Ok(())
    }
}

/// What a part is stored as. Only a rendition can be made anew.
const fn key(hash: SongHash, part: Part, format: Format) -> BlobKey {
    match (part, part.stem(), format) {
        (Part::Song, _, Format::Mp3) => BlobKey::Source(hash),
        (_, Some(stem), Format::Mp3) => BlobKey::Stem(hash, stem),
        _ => BlobKey::Rendition(hash, part, format),
    }
}

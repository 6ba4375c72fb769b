//! What can be downloaded of a song.

use std::ops::Range;

use super::ServiceError;
use super::songs::SongService;
use crate::account::Viewer;
use crate::part::{Format, Part, Stem};
use crate::ports::{BlobKey, BlobReader};
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
        let song = self.visible(viewer, id).await?;
        let hash = *song.hash();
        let kept = kept(hash, part, format);
        if part != Part::Song {
            match song.status() {
                Status::Split => {}
                Status::Failed { reason } => return Err(ServiceError::NotSplit { reason: reason.to_string() }),
                Status::Uploading | Status::Uploaded | Status::Splitting => {
                    return Err(ServiceError::NotReady { retry_after: self.settings().retry_after });
                }
            }
        }
        let key = kept.unwrap_or(BlobKey::Rendition(hash, part, format));
        if let Some(file) = self.file(&song, key).await? {
            return Ok(file);
        }
        if kept.is_none() {
            self.render(&song, part, format).await?;
        }
        // A song that is listed and has no bytes was deleted just now, or something took its bytes away.
        match self.file(&song, key).await? {
            Some(file) => Ok(file),
            None if self.ports().songs.find(id).await?.is_none() => Err(ServiceError::NO_SONG),
            None => Err(ServiceError::Internal(format!("the blob {key} is missing").into())),
        }
    }

    /// Opens a part, or the bytes of it in `range`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] when it was deleted meanwhile; [`ServiceError::Unavailable`].
    pub async fn open(&self, file: &PartFile, range: Option<Range<u64>>) -> Result<Box<dyn BlobReader>, ServiceError> {
        self.ports().blobs.open(&file.key, range).await?.ok_or(ServiceError::NO_SONG)
    }

    async fn file(&self, song: &Song, key: BlobKey) -> Result<Option<PartFile>, ServiceError> {
        let Some(reader) = self.ports().blobs.open(&key, None).await? else { return Ok(None) };
        let origin = if matches!(key, BlobKey::Source(_)) { Origin::Upload } else { Origin::Made };
        let title = song.title().clone();
        Ok(Some(PartFile { key, size_bytes: reader.size_bytes(), tag: reader.tag(), title, origin }))
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
        let sources = match part.stem() {
            Some(stem) => vec![BlobKey::Stem(hash, stem)],
            None if part == Part::Song => vec![BlobKey::Source(hash)],
            None => Stem::FOUR
                .into_iter()
                .filter(|&stem| stem != Stem::Vocals)
                .map(|stem| BlobKey::Stem(hash, stem))
                .collect(),
        };
        let mut mix = Vec::new();
        for source in sources {
            mix.push(blobs.open(&source, None).await?.ok_or(ServiceError::NO_SONG)?);
        }
        let mut rendered = self.ports().renderer.render(mix, format).await?;
        let mut writer = blobs.begin().await?;
        while let Some(chunk) = rendered.next_chunk().await? {
            writer.write(chunk).await?;
        }
        // Nothing may be stored under a hash whose last song was deleted meanwhile.
        let _stays = self.ports().commons.lock(&hash).await?;
        if self.ports().songs.with_hash(&hash).await?.is_empty() {
            return Err(ServiceError::NO_SONG);
        }
        writer.commit(&key).await?;
        Ok(())
    }
}

/// What a part is stored as, where it is.
const fn kept(hash: SongHash, part: Part, format: Format) -> Option<BlobKey> {
    match (part, part.stem(), format) {
        (Part::Song, _, Format::Mp3) => Some(BlobKey::Source(hash)),
        (_, Some(stem), Format::Mp3) => Some(BlobKey::Stem(hash, stem)),
        _ => None,
    }
}

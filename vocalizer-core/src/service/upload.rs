//! A song on its way in.

use bytes::Bytes;

use super::songs::SongService;
use super::{Invalid, ServiceError};
use crate::account::Viewer;
use crate::api::SongView;
use crate::ports::{BlobKey, BlobWriter};
use crate::song::{Song, SongHasher, SongId, StatusKind, Title};

/// A song being uploaded: hashed while it is written, in memory that does not grow. Dropped, it leaves nothing behind.
pub struct Upload {
    service: SongService,
    viewer: Viewer,
    writer: Box<dyn BlobWriter>,
    hasher: SongHasher,
    size_bytes: u64,
}

impl SongService {
    /// Begins an upload.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Full`], also while there is less free space than [`SongSettings::min_free_bytes`] asks for;
    /// [`ServiceError::Unavailable`].
    ///
    /// [`SongSettings::min_free_bytes`]: super::SongSettings::min_free_bytes
    pub async fn begin_upload(&self, viewer: Viewer) -> Result<Upload, ServiceError> {
        self.check_room().await?;
        let writer = self.ports().blobs.begin().await?;
        Ok(Upload { service: self.clone(), viewer, writer, hasher: SongHasher::new(), size_bytes: 0 })
    }
}

impl Upload {
    /// Takes the next bytes. After an error, or when dropped half-way, the upload can only be dropped.
    ///
    /// # Errors
    ///
    /// [`ServiceError::TooLarge`] as soon as the limit is passed; [`ServiceError::Full`] or
    /// [`ServiceError::Unavailable`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ServiceError> {
        let max_bytes = self.service.settings().limits.max_upload_bytes;
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        if self.size_bytes > max_bytes {
            return Err(ServiceError::TooLarge { max_bytes });
        }
        self.hasher.update(&bytes);
        Ok(self.writer.write(bytes).await?)
    }

    /// All bytes are in: looks whether they are a song, stores them and the song, and sees to it that it is split.
    ///
    /// On return the song is durable, and so is the wish to split it. Run it to its end even when the uploader has gone:
    /// a dropped future may leave bytes without a song, which only the sweep removes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the title or an empty file, [`ServiceError::NotASong`], [`ServiceError::Full`],
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`]. Nothing is stored then.
    pub async fn finish(mut self, title: &str) -> Result<SongView, ServiceError> {
        let ports = self.service.ports();
        let mut invalid = Vec::new();
        let title = Title::parse(title, self.service.settings().limits.max_title_chars);
        if let Err(error) = &title {
            invalid.push(Invalid { field: "title", message: error.to_string() });
        }
        if self.size_bytes == 0 {
            invalid.push(Invalid { field: "file", message: "the file is empty".to_owned() });
        }
        let (Ok(title), true) = (title, invalid.is_empty()) else { return Err(ServiceError::Invalid(invalid)) };
        let file = self.writer.local_file().await?;
        ports.probe.probe(&file).await?;

        let hash = self.hasher.finish();
        let mut song = Song::begin(SongId::random(), title, hash, self.viewer.user(), ports.clock.now());
        song.finish_upload().map_err(|error| ServiceError::Internal(error.into()))?;
        let song = {
            let _stays = ports.commons.lock(&hash).await?;
            let key = BlobKey::Source(hash);
            let known = ports.songs.with_hash(&hash).await?;
            // Also where there is one: of the two, these are the bytes that were hashed.
            if known.iter().any(|song| song.status().kind() == StatusKind::Failed) {
                // The bytes that are there may be why it failed.
                self.writer.replace(&key).await?;
            } else {
                self.writer.commit(&key).await?;
            }
            ports.songs.admit(&song).await?
        };
        tracing::info!(song = %song.id(), %hash, size_bytes = self.size_bytes, status = %song.status().kind(), "uploaded");
        self.service.relay_soon().await;
        self.service.board().announce(&hash);
        self.service.view(&song).await
    }
}

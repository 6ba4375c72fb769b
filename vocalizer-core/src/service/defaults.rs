//! The ports that the services have unless their builders are given others.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::part::Format;
use crate::ports::{
    AudioError, AudioFacts, AudioProbe, AuditEntry, AuditLog, AuditSearch, Blob, BlobStore, BlobStream, LocalRead,
    Peaks, Received, Renderer, RepositoryError, ResultError, ResultReader, Track,
};

/// Accepts any file as an MP3 of unknown length, or as a FLAC file where one is due. Workers then find out which songs cannot be split.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAll;

#[async_trait]
impl AudioProbe for AcceptAll {
    async fn probe(&self, _: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        Ok(AudioFacts { format: "mp3".to_owned(), rate_hz: 44_100, channels: 2, ..AudioFacts::default() })
    }

    async fn verify(&self, file: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        Ok(AudioFacts { format: "flac".to_owned(), ..self.probe(file).await? })
    }
}

/// Renders nothing: songs and stems can be downloaded only as they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRenderer;

fn no_renderer() -> AudioError {
    AudioError::Unsupported { what: "this server does not render other formats, mixes or peaks".to_owned() }
}

#[async_trait]
impl Renderer for NoRenderer {
    async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
        Err(no_renderer())
    }

    async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
        Err(no_renderer())
    }
}

/// Rejects results of remote workers. Workers in the same process deliver without an archive.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoArchives;

#[async_trait]
impl ResultReader for NoArchives {
    async fn read(&self, _: BlobStream, _: &dyn BlobStore) -> Result<Received, ResultError> {
        Err(ResultError::Malformed { what: "this server takes no results of remote workers".to_owned() })
    }
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoAudit;

#[async_trait]
impl AuditLog for NoAudit {
    async fn record(&self, _: &AuditEntry) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn entries(&self, _: &AuditSearch) -> Result<Vec<AuditEntry>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn forget_entries(&self, _: OffsetDateTime, _: u64) -> Result<(), RepositoryError> {
        Ok(())
    }
}

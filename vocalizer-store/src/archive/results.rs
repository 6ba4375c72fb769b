//! Streaming an archive into blobs.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{BlobError, BlobStore, BlobStream, Received, ResultError, ResultReader};

use super::ArchiveError;
use super::read::Parser;

/// The result archive adapter: reads by the rules of [`read`](super::read) and writes the bytes of
/// [`write`](super::write), both in constant memory.
#[derive(Debug, Clone, Default)]
pub struct TarResults {
    limits: Limits,
}

impl TarResults {
    /// Creates it with these limits.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

#[async_trait]
impl ResultReader for TarResults {
    async fn read(&self, mut archive: BlobStream, blobs: &dyn BlobStore) -> Result<Received, ResultError> {
        let (mut parser, mut received) = (Parser::new(&self.limits), Received::new());
        while let Some(chunk) = archive.next().await {
            let mut chunk = chunk.map_err(interrupted)?;
            while let Some((stem, piece)) = parser.next(&mut chunk).map_err(result_error)? {
                if received.last().is_none_or(|&(last, _)| last != stem) {
                    received.push((stem, blobs.begin().await?));
                }
                if let Some((_, writer)) = received.last_mut() {
                    writer.write(piece).await?;
                }
            }
        }
        parser.finish().map_err(result_error)?;
        Ok(received)
    }
}

fn result_error(error: ArchiveError) -> ResultError {
    match error {
        ArchiveError::Limit { max_bytes, .. } => ResultError::Limit { what: error.to_string(), max_bytes },
        ArchiveError::Malformed(flaw) => ResultError::Malformed { what: flaw.to_string() },
        ArchiveError::Read(error) | ArchiveError::Write(error) => ResultError::Interrupted(error.into()),
    }
}

/// Keeps the error of the connection, whose type the caller checks.
fn interrupted(error: BlobError) -> ResultError {
    match error {
        BlobError::Unavailable(source) => ResultError::Interrupted(source),
        error => ResultError::Interrupted(error.into()),
    }
}

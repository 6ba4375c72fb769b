//! Streaming an archive into blobs.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use vocalizer_core::api::Provenance;
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{BlobError, BlobStore, BlobStream, Received, ResultError, ResultReader, StemFile};

use super::read::{Entry, Parser};
use super::{ArchiveError, Flaw};

/// Maximum length of an error of JSON in an error.
const EXCERPT_CHARS: usize = 200;

/// The result archive adapter: reads by the rules of [`read`](super::read) and writes the bytes of
/// [`write`](super::write), both in constant memory, and both also with FLAC, other stems and a provenance.
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
        let mut parser = Parser::new(&self.limits).with_any_stems();
        let (mut received, mut current, mut provenance) = (Received::default(), None, Vec::new());
        while let Some(chunk) = archive.next().await {
            let mut chunk = chunk.map_err(interrupted)?;
            while let Some((entry, piece)) = parser.next(&mut chunk).map_err(result_error)? {
                let Entry::Stem(stem, format) = entry else {
                    // The parser has limited its size.
                    provenance.extend_from_slice(&piece);
                    continue;
                };
                if current.replace(entry) != Some(entry) {
                    received.files.push(StemFile { stem, format, writer: blobs.begin().await? });
                }
                if let Some(StemFile { writer, .. }) = received.files.last_mut() {
                    writer.write(piece).await?;
                }
            }
        }
        parser.finish().map_err(result_error)?;
        if !provenance.is_empty() {
            received.provenance = Some(parse(&provenance).map_err(|flaw| result_error(ArchiveError::Malformed(flaw)))?);
        }
        Ok(received)
    }
}

fn parse(json: &[u8]) -> Result<Provenance, Flaw> {
    // The error may quote a value of any length.
    let invalid = |error: serde_json::Error| Flaw::Provenance(error.to_string().chars().take(EXCERPT_CHARS).collect());
    let provenance: Provenance = serde_json::from_slice(json).map_err(invalid)?;
    provenance.check().map_err(|error| Flaw::Provenance(error.to_string()))?;
    Ok(provenance)
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

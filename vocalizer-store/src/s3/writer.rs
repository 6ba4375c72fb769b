//! Writing a blob.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument as _;
use vocalizer_core::ports::{BlobError, BlobKey, BlobWriter, LocalRead};

use super::bucket::Bucket;
use super::upload::{Existing, upload};
use crate::files::disk::blocking;
use crate::files::draft::{Draft, Whole};

/// Writes to a local file, because the key is known only at the end.
pub(super) struct S3Writer {
    bucket: Arc<Bucket>,
    draft: Draft,
}

impl S3Writer {
    pub(super) fn new(bucket: Arc<Bucket>, draft: Draft) -> Self {
        Self { bucket, draft }
    }
}

#[async_trait]
impl BlobWriter for S3Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.draft.write(bytes).await
    }

    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        self.draft.reader().await
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        self.finish(*key, Existing::Trusted).await
    }

    async fn replace(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        self.finish(*key, Existing::Untrusted).await
    }
}

impl S3Writer {
    async fn finish(self, key: BlobKey, existing: Existing) -> Result<u64, BlobError> {
        let Self { bucket, draft } = self;
        let whole = draft.finish().await?;
        // In a separate task: it completes even if the caller is dropped, and leaves no parts behind.
        let committed = tokio::spawn(commit(bucket, whole, key, existing).in_current_span());
        committed.await.map_err(|error| BlobError::Unavailable(error.into()))?
    }
}

async fn commit(bucket: Arc<Bucket>, whole: Whole, key: BlobKey, existing: Existing) -> Result<u64, BlobError> {
    let Whole { file, temporary, size_bytes } = whole;
    upload(&bucket, file, size_bytes, &key, existing).await?;
    // The blob is stored; if the file cannot be removed, the sweep removes it.
    let _ = blocking(move || temporary.remove()).await;
    Ok(size_bytes)
}

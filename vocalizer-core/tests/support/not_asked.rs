//! A fake for ports that a test must provide but never calls.

use std::path::Path;

use async_trait::async_trait;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{
    AudioError, AudioFacts, AudioProbe, Blob, BlobStore, BlobStream, Peaks, Received, Renderer, ResultError,
    ResultReader, Track,
};

/// Panics on every call.
pub(crate) struct NotAsked;

#[async_trait]
impl AudioProbe for NotAsked {
    async fn probe(&self, _: &Path) -> Result<AudioFacts, AudioError> {
        panic!("unexpected upload")
    }
}

#[async_trait]
impl Renderer for NotAsked {
    async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
        panic!("unexpected download")
    }

    async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
        panic!("unexpected request for peaks")
    }
}

#[async_trait]
impl ResultReader for NotAsked {
    async fn read(&self, _: BlobStream, _: &dyn BlobStore) -> Result<Received, ResultError> {
        panic!("unexpected result")
    }
}

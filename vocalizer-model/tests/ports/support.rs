//! Blobs, work folders, and waiting for them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_core::ports::{BlobError, BlobReader, InMemory};
use vocalizer_model::audio::{AudioFormat, Frame};

use crate::audio::support::{dir, read, write};

/// The frames in a format of ours, as a blob.
pub(crate) fn blob(format: AudioFormat, rate_hz: u32, frames: &[Frame]) -> Box<dyn BlobReader> {
    Box::new(InMemory::new(file(format, rate_hz, frames)))
}

pub(crate) fn file(format: AudioFormat, rate_hz: u32, frames: &[Frame]) -> Bytes {
    let dir = dir();
    let path = dir.path().join("song");
    write(&path, format, rate_hz, frames);
    std::fs::read(path).expect("the file").into()
}

/// What a blob holds, as sound: its rate and its frames.
pub(crate) async fn heard(mut blob: Box<dyn BlobReader>) -> (u32, Vec<Frame>) {
    let bytes = bytes_of(&mut *blob).await;
    let dir = dir();
    let path = dir.path().join("song");
    std::fs::write(&path, bytes).expect("a written file");
    let (info, frames) = read(&path);
    (info.rate_hz, frames)
}

pub(crate) async fn bytes_of(blob: &mut dyn BlobReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.next_chunk().await.expect("a chunk") {
        assert!(!chunk.is_empty(), "an empty chunk");
        bytes.extend(chunk);
    }
    assert!(blob.next_chunk().await.expect("the end").is_none(), "the end stays the end");
    assert_eq!(bytes.len() as u64, blob.size_bytes());
    bytes
}

/// A file as a blob, which is never in memory as a whole.
pub(crate) struct OnDisk(pub(crate) File);

#[async_trait]
impl BlobReader for OnDisk {
    fn size_bytes(&self) -> u64 {
        self.0.metadata().expect("a file").len()
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        let mut chunk = vec![0; 1 << 16];
        let count = self.0.read(&mut chunk).map_err(|e| BlobError::Unavailable(e.into()))?;
        chunk.truncate(count);
        Ok(Some(Bytes::from(chunk)).filter(|chunk| !chunk.is_empty()))
    }
}

/// A blob that breaks off after its first bytes, or, with `hangs`, never goes on.
pub(crate) struct Stuck {
    pub(crate) first: Option<Bytes>,
    pub(crate) hangs: bool,
}

#[async_trait]
impl BlobReader for Stuck {
    fn size_bytes(&self) -> u64 {
        1 << 20
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None if self.hangs => std::future::pending().await,
            None => Err(BlobError::Unavailable("the store is away".into())),
        }
    }
}

/// How many files and folders are in a folder, at any depth.
pub(crate) fn entries(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(Result::ok).map(|e| 1 + entries_of(&e)).sum()
}

fn entries_of(entry: &std::fs::DirEntry) -> usize {
    if entry.file_type().is_ok_and(|kind| kind.is_dir()) { entries(&entry.path()) } else { 0 }
}

/// Waits until it is so, but not for long.
pub(crate) async fn soon(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(5), "not soon: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

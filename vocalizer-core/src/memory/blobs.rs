//! Blobs in memory.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, LocalRead, MadeBlob};
use crate::song::SongHash;

/// The maximum size of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

type Blobs = Arc<Mutex<BTreeMap<BlobKey, Entry>>>;

#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    bytes: Bytes,
    /// When it was last opened, in the sequence of writer numbers.
    used: u64,
}

/// A [`BlobStore`] in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    blobs: Blobs,
    writers: Arc<AtomicU64>,
}

fn lock(blobs: &Blobs) -> MutexGuard<'_, BTreeMap<BlobKey, Entry>> {
    blobs.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        let number = self.writers.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Writer { blobs: Arc::clone(&self.blobs), number, bytes: Vec::new() }))
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        let mut blobs = lock(&self.blobs);
        let Some(entry) = blobs.get_mut(key) else { return Ok(None) };
        entry.used = self.writers.fetch_add(1, Ordering::Relaxed);
        let Entry { number, bytes, .. } = entry.clone();
        drop(blobs);
        let size_bytes = bytes.len() as u64;
        let bytes = match range {
            None => bytes,
            Some(range) => match (usize::try_from(range.start), usize::try_from(range.end)) {
                (Ok(start), Ok(end)) if start < end && end <= bytes.len() => bytes.slice(start..end),
                _ => return Err(BlobError::Range { size_bytes }),
            },
        };
        let chunks: Vec<_> = bytes.chunks(CHUNK_BYTES).map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
        Ok(Some(Blob::new(bytes.len() as u64, number.to_string(), stream::iter(chunks))))
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        Ok(lock(&self.blobs).get(key).map(|entry| entry.bytes.len() as u64))
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        lock(&self.blobs).retain(|key, _| key.hash() != hash);
        Ok(())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        lock(&self.blobs).remove(key);
        Ok(())
    }

    /// The times are artificial: microseconds in 1970 in the order of use.
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        let blobs = lock(&self.blobs);
        let made = blobs.iter().filter(|(key, _)| key.is_made()).map(|(key, entry)| {
            let used = OffsetDateTime::UNIX_EPOCH + Duration::from_micros(entry.used);
            MadeBlob { key: *key, size_bytes: entry.bytes.len() as u64, used }
        });
        Ok(made.collect())
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        let mut hashes: Vec<_> = lock(&self.blobs).keys().map(|key| *key.hash()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Ok(hashes)
    }

    /// All blobs count as old: in memory they cannot outlive or predate the songs.
    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        let is_there = lock(&self.blobs).keys().any(|key| key.hash() == hash);
        Ok(is_there.then_some(PrimitiveDateTime::MIN.assume_utc()))
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        Ok(0)
    }
}

struct Writer {
    blobs: Blobs,
    number: u64,
    bytes: Vec<u8>,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let size_bytes = self.bytes.len() as u64;
        lock(&self.blobs).insert(*key, Entry { number: self.number, bytes: self.bytes.into(), used: self.number });
        Ok(size_bytes)
    }
}

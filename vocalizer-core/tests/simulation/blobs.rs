//! The simulated blob store. Uncommitted blobs are lost with their writer; committed ones stay.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use event_listener::Event;
use futures_util::FutureExt;
use time::OffsetDateTime;
use vocalizer_core::memory::MemoryBlobs;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, LocalRead, MadeBlob};
use vocalizer_core::song::SongHash;

use super::audio::parse_stem;
use super::ghost::Ghost;
use super::kernel::{Component, Kernel, OUTSIDE};
use super::plan::SECOND;
use super::planted::Bug;

#[derive(Clone)]
pub(crate) struct Blobs {
    kernel: Arc<Kernel>,
    ghost: Arc<Ghost>,
    memory: MemoryBlobs,
}

impl Blobs {
    pub(crate) fn new(kernel: &Arc<Kernel>, ghost: &Arc<Ghost>) -> Self {
        Self { kernel: Arc::clone(kernel), ghost: Arc::clone(ghost), memory: MemoryBlobs::default() }
    }

    /// Returns the hashes that have blobs, without a simulated call.
    pub(crate) fn peek(&self) -> Vec<SongHash> {
        self.memory.hashes().now_or_never().expect("memory does not wait").expect("memory does not fail")
    }

    /// Deletes later, even if the caller is gone by then.
    async fn delete_later(&self, hash: &SongHash) -> Result<(), BlobError> {
        self.call(async { Ok(()) }).await?;
        let (store, hash, done) = (self.clone(), *hash, Arc::new(Event::new()));
        let (done_listener, notifier) = (done.listen(), Arc::clone(&done));
        self.kernel.spawn(OUTSIDE, "network", async move {
            store.kernel.sleep(store.kernel.below(2 * SECOND)).await;
            store.ghost.blobs_deleted(store.kernel.plan.content(&hash));
            drop(store.memory.delete_all(&hash).await);
            notifier.notify(usize::MAX);
        });
        done_listener.await;
        self.call(async { Ok(()) }).await
    }

    async fn call<T>(&self, effect: impl Future<Output = Result<T, BlobError>> + Send) -> Result<T, BlobError> {
        let effect = || effect.now_or_never().expect("memory does not wait");
        let called = self.kernel.call(Component::Blobs, effect).await;
        called.map_err(|error| BlobError::Unavailable(Box::new(error)))?
    }
}

#[async_trait]
impl BlobStore for Blobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        let inner = self.call(self.memory.begin()).await?;
        Ok(Box::new(Writer { store: self.clone(), inner, bytes: Vec::new() }))
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        self.call(self.memory.open(key, range)).await
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.call(self.memory.size_bytes(key)).await
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        if self.ghost.has(Bug::DeletesLate) {
            return self.delete_later(hash).await;
        }
        let deleted = async {
            self.ghost.blobs_deleted(self.kernel.plan.content(hash));
            self.memory.delete_all(hash).await
        };
        self.call(deleted).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.call(self.memory.delete(key)).await
    }

    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        self.call(self.memory.made()).await
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        self.call(self.memory.hashes()).await
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        self.call(self.memory.last_written(hash)).await
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        self.call(self.memory.sweep()).await
    }
}

struct Writer {
    store: Blobs,
    inner: Box<dyn BlobWriter>,
    bytes: Vec<u8>,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.bytes.extend_from_slice(&bytes);
        self.store.call(self.inner.write(bytes)).await
    }

    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        self.inner.reader().await
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let Self { store, inner, bytes } = *self;
        let size = bytes.len();
        let (ghost, content) = (Arc::clone(&store.ghost), store.kernel.plan.content(key.hash()));
        let commit = async {
            match key {
                BlobKey::Source(_) => ghost.source_stored(content),
                BlobKey::Stem(_, stem) => {
                    let index = Stem::FOUR.iter().position(|four| four == stem).expect("one of the four stems");
                    ghost.stem_stored(content, index, parse_stem(&bytes, *stem));
                }
                BlobKey::Lossless(..)
                | BlobKey::Rendition(..)
                | BlobKey::Preview(..)
                | BlobKey::Peaks(..)
                | BlobKey::Analysis(_)
                | BlobKey::Cover(_)
                | BlobKey::Lyrics(_)
                | BlobKey::Piece(..) => {}
            }
            inner.commit(key).await
        };
        let committed = store.call(commit).await?;
        if matches!(key, BlobKey::Source(_)) && store.kernel.fault(store.kernel.plan.rates.damaged) {
            store.kernel.cover("source damaged");
            store.kernel.note(format_args!("the source of content {content} is damaged"));
            store.ghost.source_damaged(content);
            let damage = async {
                let mut writer = store.memory.begin().await?;
                writer.write(Bytes::from(vec![b'?'; size])).await?;
                writer.commit(key).await
            };
            damage.now_or_never().expect("memory does not wait")?;
        }
        Ok(committed)
    }
}

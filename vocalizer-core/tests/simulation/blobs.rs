//! One blob store. What is being written dies with its writer; what is committed stays.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use event_listener::Event;
use futures_util::FutureExt;
use time::OffsetDateTime;
use vocalizer_core::memory::MemoryBlobs;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, MadeBlob};
use vocalizer_core::song::SongHash;

use super::audio::who_made;
use super::ghost::Ghost;
use super::kernel::{Kernel, OUTSIDE, Place};
use super::plan::SECOND;
use super::planted::Bug;

#[derive(Clone)]
pub(crate) struct Blobs {
    kernel: Arc<Kernel>,
    ghost: Arc<Ghost>,
    kept: MemoryBlobs,
}

impl Blobs {
    pub(crate) fn new(kernel: &Arc<Kernel>, ghost: &Arc<Ghost>) -> Self {
        Self { kernel: Arc::clone(kernel), ghost: Arc::clone(ghost), kept: MemoryBlobs::default() }
    }

    /// The hashes that have blobs, without asking anybody.
    pub(crate) fn peek(&self) -> Vec<SongHash> {
        self.kept.hashes().now_or_never().expect("blobs in memory are there at once").expect("and do not fail")
    }

    /// The request is on its way, whatever becomes of who made it.
    async fn delete_late(&self, hash: &SongHash) -> Result<(), BlobError> {
        self.call(async { Ok(()) }).await?;
        let (store, hash, landed) = (self.clone(), *hash, Arc::new(Event::new()));
        let (heard, lands) = (landed.listen(), Arc::clone(&landed));
        self.kernel.spawn(OUTSIDE, "network", async move {
            store.kernel.sleep(store.kernel.below(2 * SECOND)).await;
            store.ghost.blobs_deleted(store.kernel.plan.content(&hash));
            drop(store.kept.delete_all(&hash).await);
            lands.notify(usize::MAX);
        });
        heard.await;
        self.call(async { Ok(()) }).await
    }

    async fn call<T>(&self, effect: impl Future<Output = Result<T, BlobError>> + Send) -> Result<T, BlobError> {
        let effect = || effect.now_or_never().expect("blobs in memory are there at once");
        let called = self.kernel.call(Place::Blobs, effect).await;
        called.map_err(|away| BlobError::Unavailable(Box::new(away)))?
    }
}

#[async_trait]
impl BlobStore for Blobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        let inner = self.call(self.kept.begin()).await?;
        Ok(Box::new(Writer { store: self.clone(), inner, bytes: Vec::new() }))
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        self.call(self.kept.open(key, range)).await
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        self.call(self.kept.size_bytes(key)).await
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        if self.ghost.has(Bug::DeletesLandLate) {
            return self.delete_late(hash).await;
        }
        let deleted = async {
            self.ghost.blobs_deleted(self.kernel.plan.content(hash));
            self.kept.delete_all(hash).await
        };
        self.call(deleted).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.call(self.kept.delete(key)).await
    }

    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        self.call(self.kept.made()).await
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        self.call(self.kept.hashes()).await
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        self.call(self.kept.last_written(hash)).await
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        self.call(self.kept.sweep()).await
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

    async fn local_file(&mut self) -> Result<PathBuf, BlobError> {
        self.inner.local_file().await
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let Self { store, inner, bytes } = *self;
        let size = bytes.len();
        let (ghost, content) = (Arc::clone(&store.ghost), store.kernel.plan.content(key.hash()));
        let commit = async {
            match key {
                BlobKey::Source(_) => ghost.source_stored(content),
                BlobKey::Stem(_, stem) => {
                    let place = Stem::FOUR.iter().position(|four| four == stem).expect("it is one of the four");
                    ghost.stem_stored(content, place, who_made(&bytes, *stem));
                }
                BlobKey::Rendition(..) | BlobKey::Peaks(..) => {}
            }
            inner.commit(key).await
        };
        let committed = store.call(commit).await?;
        if matches!(key, BlobKey::Source(_)) && store.kernel.fault(store.kernel.plan.rates.damaged) {
            store.kernel.met("source damaged");
            store.kernel.note(format_args!("the source of content {content} is damaged"));
            store.ghost.source_damaged(content);
            let damage = async {
                let mut writer = store.kept.begin().await?;
                writer.write(Bytes::from(vec![b'?'; size])).await?;
                writer.commit(key).await
            };
            damage.now_or_never().expect("blobs in memory are there at once")?;
        }
        Ok(committed)
    }
}

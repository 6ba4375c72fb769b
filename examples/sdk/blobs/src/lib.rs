//! A blob store over any store of the crate `object_store`, for example Google Cloud Storage or Azure.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use blobs::ObjectBlobs;
//! use object_store::prefix::PrefixStore;
//!
//! # fn example() -> object_store::Result<()> {
//! // Needs the feature `gcp` of `object_store`; `az://` needs `azure`.
//! let url = "gs://songs/vocalizer".parse().expect("a valid URL");
//! let options = [("google_service_account", "/etc/vocalizer/key.json")];
//! let (bucket, prefix) = object_store::parse_url_opts(&url, options)?;
//! let blobs = ObjectBlobs::new(Arc::new(PrefixStore::new(bucket, prefix)), "/var/lib/vocalizer/work");
//! # Ok(())
//! # }
//! ```
//!
//! A killed process may leave the parts of an unfinished upload in the bucket. They are not visible here, so add a
//! lifecycle rule to the bucket that removes them.

mod spool;

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::iter::successors;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt as _;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, LocalRead, MadeBlob};
use vocalizer_core::song::SongHash;

use spool::Spool;

/// Part size of an upload. A smaller blob is uploaded in one request.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Maximum number of parts of an upload in flight. It bounds the memory of an upload to three parts.
const MAX_PARTS_IN_FLIGHT: usize = 2;

/// A [`BlobStore`] in an object store. It is as durable as that store.
///
/// The tag of a blob is its `ETag`. The store must set one that changes with every write.
#[derive(Debug, Clone)]
pub struct ObjectBlobs {
    store: Arc<dyn ObjectStore>,
    work_dir: PathBuf,
}

impl ObjectBlobs {
    /// Creates the adapter. Blobs being written are temporary files in `work_dir`, which must exist; keep some of its
    /// disk free, because the adapter does not report its space. Any number of processes may share it.
    pub fn new(store: Arc<dyn ObjectStore>, work_dir: impl Into<PathBuf>) -> Self {
        Self { store, work_dir: work_dir.into() }
    }

    async fn head(&self, key: &BlobKey) -> Result<Option<ObjectMeta>, BlobError> {
        if_exists(self.store.head(&path(key)).await)
    }

    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<GetResult>, BlobError> {
        let Some(range) = range else { return if_exists(self.store.get(&path(key)).await) };
        // Stores report an invalid range in different ways, or return a part of it.
        let Some(ObjectMeta { size: size_bytes, .. }) = self.head(key).await? else { return Ok(None) };
        if range.start >= range.end || range.end > size_bytes {
            return Err(BlobError::Range { size_bytes });
        }
        let options = GetOptions::new().with_range(Some(range.clone()));
        match if_exists(self.store.get_opts(&path(key), options).await)? {
            // A shorter blob has replaced it meanwhile.
            Some(found) if found.range != range => Err(BlobError::Range { size_bytes: found.meta.size }),
            found => Ok(found),
        }
    }
}

#[async_trait]
impl BlobStore for ObjectBlobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        let spool = Spool::create(self.work_dir.clone()).await?;
        Ok(Box::new(Writer { store: Arc::clone(&self.store), spool }))
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        let Some(found) = self.get(key, range).await? else { return Ok(None) };
        let size_bytes = found.range.end.saturating_sub(found.range.start);
        let tag = tag(&found.meta)?;
        Ok(Some(Blob::new(size_bytes, tag, found.into_stream().map_err(failed))))
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        Ok(self.head(key).await?.map(|found| found.size))
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        let listed = self.store.list(Some(&prefix(hash))).map_ok(|object| object.location).boxed();
        let mut deleted = self.store.delete_stream(listed);
        while let Some(deleted) = deleted.next().await {
            // Another process may have deleted it.
            if_exists(deleted)?;
        }
        Ok(())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        if_exists(self.store.delete(&path(key)).await).map(|_| ())
    }

    /// Object stores do not record reads, so the last use is the last write.
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        let mut listed = self.store.list(None);
        let mut made = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            if let Some(key) = made_key(&object.location) {
                made.push(MadeBlob { key, size_bytes: object.size, used: written(&object)? });
            }
        }
        Ok(made)
    }

    /// Lists all objects: a list of folders would include empty ones of a local file system.
    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        let mut listed = self.store.list(None);
        let mut hashes = BTreeSet::new();
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            hashes.extend(hash(&object.location));
        }
        Ok(hashes.into_iter().collect())
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        let mut listed = self.store.list(Some(&prefix(hash)));
        let mut newest = None;
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            newest = newest.max(Some(written(&object)?));
        }
        Ok(newest)
    }

    /// Lists a prefix: only a list tells a missing bucket from a missing blob.
    async fn check(&self) -> Result<(), BlobError> {
        self.last_written(&SongHash::of(b"")).await.map(|_| ())
    }

    /// The operating system removes the temporary files of dead writers.
    async fn sweep(&self) -> Result<u64, BlobError> {
        Ok(0)
    }
}

/// Writes to a temporary file, because the key of the object is known only at the end.
struct Writer {
    store: Arc<dyn ObjectStore>,
    spool: Spool,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.spool.append(bytes).await
    }

    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        Ok(Box::new(self.spool.reader()))
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let Self { store, spool } = *self;
        // A separate task: an upload that the caller drops would leave its parts in the bucket.
        tokio::spawn(upload(store, path(key), spool)).await.map_err(failed)?
    }
}

/// Uploads the file. The object becomes visible, or is replaced, by the last request.
async fn upload(store: Arc<dyn ObjectStore>, path: Path, spool: Spool) -> Result<u64, BlobError> {
    let mut writer = BufWriter::with_capacity(store, path, PART_BYTES).with_max_concurrency(MAX_PARTS_IN_FLIGHT);
    if let Err(error) = send(&mut writer, &spool).await {
        // If this fails too, the bucket's lifecycle rule removes the parts.
        let _ = writer.abort().await;
        return Err(error);
    }
    // A failed shutdown removes the parts itself.
    writer.shutdown().await.map_err(failed)?;
    Ok(spool.size_bytes())
}

async fn send(writer: &mut BufWriter, spool: &Spool) -> Result<(), BlobError> {
    let mut blocks = pin!(spool.blocks());
    while let Some(block) = blocks.try_next().await? {
        writer.put(block).await.map_err(failed)?;
    }
    Ok(())
}

fn path(key: &BlobKey) -> Path {
    Path::from(key.to_string())
}

fn prefix(hash: &SongHash) -> Path {
    Path::from(hash.to_string())
}

/// Returns the hash that an object belongs to; `None` for a foreign object.
fn hash(path: &Path) -> Option<SongHash> {
    path.parts().next()?.as_ref().parse().ok()
}

/// Returns the key of a derived blob; `None` for any other object.
fn made_key(path: &Path) -> Option<BlobKey> {
    let name = path.as_ref().split_once("/made/")?.1;
    BlobKey::of_made(hash(path)?, name)
}

fn written(object: &ObjectMeta) -> Result<OffsetDateTime, BlobError> {
    OffsetDateTime::from_unix_timestamp(object.last_modified.timestamp()).map_err(failed)
}

/// Encodes the `ETag` in hexadecimal, because it may contain characters that a tag may not.
fn tag(object: &ObjectMeta) -> Result<String, BlobError> {
    let e_tag = object.e_tag.as_deref().ok_or_else(|| BlobError::Unavailable("the store sets no ETag".into()))?;
    Ok(e_tag.bytes().map(|byte| format!("{byte:02x}")).collect())
}

/// Converts the error for a missing object to `None`.
fn if_exists<T>(found: object_store::Result<T>) -> Result<Option<T>, BlobError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Converts an error. A full disk may be any of its causes.
fn failed(error: impl Error + Send + Sync + 'static) -> BlobError {
    let is_full = successors(Some(&error as &(dyn Error + 'static)), |error| (**error).source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded));
    if is_full { BlobError::Full } else { BlobError::Unavailable(error.into()) }
}

//! The store itself.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, MadeBlob, Space};
use vocalizer_core::song::SongHash;

use super::answer::sorted;
use super::bucket::Bucket;
use super::error::S3Error;
use super::reader::blob;
use super::settings::S3Settings;
use super::writer::S3Writer;
use crate::files::disk::{blocking, make_dir, space};
use crate::files::draft::Draft;
use crate::files::temporary::Temporaries;

/// A [`BlobStore`] in a bucket.
///
/// What is said to be stored or deleted is so as far as the bucket keeps its word. Memory does not grow with blobs: one
/// that goes up takes 16 MiB at most, one that comes down a chunk. What the endpoint has no time for is asked again for
/// as long as [`S3Settings::with_patience`] says, and is [`BlobError::Unavailable`] after that.
///
/// A source that the bucket has, byte for byte, is not sent again.
///
/// Any number of processes may use a bucket, and one at a time a work folder: what another one is writing there looks
/// like what a dead one left. Clones are handles to the same store.
#[derive(Clone)]
pub struct S3Blobs {
    bucket: Arc<Bucket>,
    temporaries: Arc<Temporaries>,
}

impl S3Blobs {
    /// Opens the store, once the bucket has answered. What is being written lies in the folder `uploads` of `work_dir`;
    /// both are made where they are missing, for their owner alone.
    ///
    /// # Errors
    ///
    /// Any [`S3Error`] but those of [`S3Settings::parse`].
    pub async fn open(settings: S3Settings, work_dir: &std::path::Path) -> Result<Self, S3Error> {
        let uploads = work_dir.join("uploads");
        let (work_dir, made) = (work_dir.to_owned(), uploads.clone());
        let made = spawn_blocking(move || make_dir(&work_dir).and_then(|()| make_dir(&made))).await;
        made.map_err(Into::into).flatten().map_err(|source| S3Error::WorkDir { path: uploads.clone(), source })?;
        let bucket = Arc::new(Bucket::open(&settings).await?);
        Ok(Self { bucket, temporaries: Temporaries::new(uploads) })
    }

    /// Claims the blobs for an installation, unless another one has claimed them, and says whose they are then. Of several at
    /// once one gets them, as far as the endpoint heeds `If-None-Match`.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    pub async fn claim(&self, installation: &str) -> Result<String, BlobError> {
        if let Some(owner) = self.owner().await? {
            return Ok(owner);
        }
        let path = self.bucket.prefix.clone().join(INSTALLATION);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.bucket.s3.put_opts(&path, installation.to_owned().into(), options).await {
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            // Not every endpoint knows the condition.
            Err(_) => self.adopt(installation).await?,
        }
        self.owner().await?.ok_or_else(|| BlobError::Unavailable("the bucket forgot what it was told".into()))
    }

    /// Makes the blobs `installation`'s, whosever they were.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    pub async fn adopt(&self, installation: &str) -> Result<(), BlobError> {
        let path = self.bucket.prefix.clone().join(INSTALLATION);
        let put = self.bucket.s3.put(&path, installation.to_owned().into()).await;
        put.map(|_| ()).map_err(|error| sorted(&error))
    }

    /// The installation that has claimed the blobs.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    pub async fn owner(&self) -> Result<Option<String>, BlobError> {
        let path = self.bucket.prefix.clone().join(INSTALLATION);
        let Some(found) = self.bucket.read(&path, None).await? else { return Ok(None) };
        let bytes = found.bytes().await.map_err(|error| sorted(&error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
    }
}

/// The object that says whose blobs there are.
const INSTALLATION: &str = "installation";

impl fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bucket { name, prefix, .. } = &*self.bucket;
        f.debug_struct("S3Blobs").field("bucket", name).field("prefix", &prefix.as_ref()).finish_non_exhaustive()
    }
}

#[async_trait]
impl BlobStore for S3Blobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(S3Writer::new(Arc::clone(&self.bucket), Draft::begin(&self.temporaries).await?)))
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        let path = self.bucket.path(key);
        match self.bucket.read(&path, range).await? {
            Some(found) => blob(Arc::clone(&self.bucket), path, found).map(Some),
            None => Ok(None),
        }
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        Ok(self.bucket.head(&self.bucket.path(key)).await?.map(|found| found.meta.size))
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        let s3 = &self.bucket.s3;
        let listed = s3.list(Some(&self.bucket.shelf(hash))).map_ok(|object| object.location).boxed();
        let mut deleted = s3.delete_stream(listed);
        while let Some(deleted) = deleted.next().await {
            match deleted {
                // Somebody else was faster.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(sorted(&error)),
            }
        }
        Ok(())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = self.bucket.path(key);
        match self.bucket.s3.delete_stream(stream::iter([Ok(path)]).boxed()).try_next().await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(sorted(&error)),
        }
    }

    /// A bucket knows when an object was written, and not when it was last read. All objects are listed.
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        let mut listed = self.bucket.s3.list(Some(&self.bucket.prefix));
        let mut made = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(|error| sorted(&error))? {
            let Some(key) = self.bucket.made_key(&object.location) else { continue };
            let used = OffsetDateTime::from_unix_timestamp(object.last_modified.timestamp());
            let used = used.map_err(|error| BlobError::Unavailable(error.into()))?;
            made.push(MadeBlob { key, size_bytes: object.size, used });
        }
        Ok(made)
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        let listed = self.bucket.s3.list_with_delimiter(Some(&self.bucket.prefix)).await;
        let shelves = listed.map_err(|error| sorted(&error))?.common_prefixes;
        Ok(shelves.iter().filter_map(|shelf| shelf.filename()?.parse().ok()).collect())
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        let mut listed = self.bucket.s3.list(Some(&self.bucket.shelf(hash)));
        let mut newest = None;
        while let Some(object) = listed.try_next().await.map_err(|error| sorted(&error))? {
            let written = OffsetDateTime::from_unix_timestamp(object.last_modified.timestamp());
            newest = newest.max(Some(written.map_err(|error| BlobError::Unavailable(error.into()))?));
        }
        Ok(newest)
    }

    /// Of the work folder, which uploads go through.
    async fn space(&self) -> Result<Option<Space>, BlobError> {
        let temporaries = Arc::clone(&self.temporaries);
        blocking(move || space(temporaries.dir())).await
    }

    /// Lists: the answer about an object that is missing does not tell whether its bucket is.
    async fn check(&self) -> Result<(), BlobError> {
        self.bucket.check().await.map_err(|error| sorted(&error))
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        let temporaries = Arc::clone(&self.temporaries);
        blocking(move || temporaries.sweep()).await
    }
}

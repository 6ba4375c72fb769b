//! The [`S3Blobs`] type.

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

use super::bucket::Bucket;
use super::error::S3Error;
use super::parsed_error::blob_error;
use super::reader::blob;
use super::settings::S3Settings;
use super::writer::S3Writer;
use crate::files::disk::{blocking, make_dir, space};
use crate::files::draft::Draft;
use crate::files::temporary::Temporaries;

/// A [`BlobStore`] in a bucket.
///
/// Completed writes and deletions are as durable as the bucket. Memory use does not grow with the size of blobs: at
/// most 16 MiB per upload and one chunk per download. Throttled requests are retried for the time of
/// [`S3Settings::with_patience`], and are [`BlobError::Unavailable`] after that.
///
/// A source with the same bytes in the bucket is not uploaded again.
///
/// Any number of processes may use a bucket, but only one a work folder: files being written by another process look
/// like leftovers of a dead one. Clones share one store.
#[derive(Clone)]
pub struct S3Blobs {
    bucket: Arc<Bucket>,
    temporaries: Arc<Temporaries>,
}

impl S3Blobs {
    /// Opens the store after checking the bucket. Temporary files are in the folder `uploads` of `work_dir`; missing
    /// folders are created, accessible to their owner only.
    ///
    /// # Errors
    ///
    /// Any [`S3Error`] except those of [`S3Settings::parse`].
    pub async fn open(settings: S3Settings, work_dir: &std::path::Path) -> Result<Self, S3Error> {
        let uploads = work_dir.join("uploads");
        let (work_dir, made) = (work_dir.to_owned(), uploads.clone());
        let made = spawn_blocking(move || make_dir(&work_dir).and_then(|()| make_dir(&made))).await;
        made.map_err(Into::into).flatten().map_err(|source| S3Error::WorkDir { path: uploads.clone(), source })?;
        let bucket = Arc::new(Bucket::open(&settings).await?);
        Ok(Self { bucket, temporaries: Temporaries::new(uploads) })
    }

    /// Claims the blobs for an installation unless they are already claimed, and returns their owner. Of concurrent
    /// claims one succeeds if the endpoint supports `If-None-Match`.
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
            // Some endpoints do not support the condition.
            Err(_) => self.adopt(installation).await?,
        }
        self.owner().await?.ok_or_else(|| BlobError::Unavailable("the bucket did not keep the installation ID".into()))
    }

    /// Assigns the blobs to an installation, even if another one owns them.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    pub async fn adopt(&self, installation: &str) -> Result<(), BlobError> {
        let path = self.bucket.prefix.clone().join(INSTALLATION);
        let put = self.bucket.s3.put(&path, installation.to_owned().into()).await;
        put.map(|_| ()).map_err(|error| blob_error(&error))
    }

    /// Returns the installation that owns the blobs.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    pub async fn owner(&self) -> Result<Option<String>, BlobError> {
        let path = self.bucket.prefix.clone().join(INSTALLATION);
        let Some(found) = self.bucket.read(&path, None).await? else { return Ok(None) };
        let bytes = found.bytes().await.map_err(|error| blob_error(&error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
    }
}

/// The object with the owner's installation ID.
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
        let listed = s3.list(Some(&self.bucket.hash_path(hash))).map_ok(|object| object.location).boxed();
        let mut deleted = s3.delete_stream(listed);
        while let Some(deleted) = deleted.next().await {
            match deleted {
                // Another process has already deleted it.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(blob_error(&error)),
            }
        }
        Ok(())
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = self.bucket.path(key);
        match self.bucket.s3.delete_stream(stream::iter([Ok(path)]).boxed()).try_next().await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(blob_error(&error)),
        }
    }

    /// The last use is the time of the last write: buckets do not record reads. Lists all objects.
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        let mut listed = self.bucket.s3.list(Some(&self.bucket.prefix));
        let mut made = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(|error| blob_error(&error))? {
            let Some(key) = self.bucket.made_key(&object.location) else { continue };
            let used = OffsetDateTime::from_unix_timestamp(object.last_modified.timestamp());
            let used = used.map_err(|error| BlobError::Unavailable(error.into()))?;
            made.push(MadeBlob { key, size_bytes: object.size, used });
        }
        Ok(made)
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        let listed = self.bucket.s3.list_with_delimiter(Some(&self.bucket.prefix)).await;
        let prefixes = listed.map_err(|error| blob_error(&error))?.common_prefixes;
        Ok(prefixes.iter().filter_map(|prefix| prefix.filename()?.parse().ok()).collect())
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        let mut listed = self.bucket.s3.list(Some(&self.bucket.hash_path(hash)));
        let mut newest = None;
        while let Some(object) = listed.try_next().await.map_err(|error| blob_error(&error))? {
            let written = OffsetDateTime::from_unix_timestamp(object.last_modified.timestamp());
            newest = newest.max(Some(written.map_err(|error| BlobError::Unavailable(error.into()))?));
        }
        Ok(newest)
    }

    /// Returns the space of the work folder, which all uploads pass through.
    async fn space(&self) -> Result<Option<Space>, BlobError> {
        let temporaries = Arc::clone(&self.temporaries);
        blocking(move || space(temporaries.dir())).await
    }

    /// Lists the bucket: the response for a missing object does not reveal whether its bucket exists.
    async fn check(&self) -> Result<(), BlobError> {
        self.bucket.check().await.map_err(|error| blob_error(&error))
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        let temporaries = Arc::clone(&self.temporaries);
        blocking(move || temporaries.sweep()).await
    }
}

//! Access to the bucket.

use std::ops::Range;

use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use vocalizer_core::ports::{BlobError, BlobKey};
use vocalizer_core::song::SongHash;

use super::error::S3Error;
use super::parsed_error::{ParsedError, blob_error};
use super::settings::S3Settings;

/// A bucket that has responded at least once.
pub(super) struct Bucket {
    pub(super) s3: AmazonS3,
    pub(super) prefix: Path,
    pub(super) name: String,
}

impl Bucket {
    pub(super) async fn open(settings: &S3Settings) -> Result<Self, S3Error> {
        let s3 = settings.build()?;
        // Checked separately, because errors of the machine's own credentials look like those of the bucket.
        if let Err(error) = s3.credentials().get_credential().await {
            return Err(S3Error::CredentialsMissing(ParsedError::of(&error).into()));
        }
        let bucket = Self { s3, prefix: settings.prefix().clone(), name: settings.bucket().to_owned() };
        match bucket.check().await {
            Ok(()) => Ok(bucket),
            Err(error) => Err(open_error(&error, settings)),
        }
    }

    /// Fails if the bucket cannot be listed.
    pub(super) async fn check(&self) -> object_store::Result<()> {
        let one = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let listed = match self.prefix.as_ref() {
            "" => self.s3.list_paginated(None, one).await,
            prefix => self.s3.list_paginated(Some(&format!("{prefix}/")), one).await,
        };
        listed.map(|_| ())
    }

    /// Returns the path of a blob.
    pub(super) fn path(&self, key: &BlobKey) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }

    /// Returns the key of a derived blob (under `made/`); `None` for any other object.
    pub(super) fn made_key(&self, path: &Path) -> Option<BlobKey> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        match parts.as_slice() {
            [hash, dir, name] if dir.as_ref() == "made" => BlobKey::of_made(hash.as_ref().parse().ok()?, name.as_ref()),
            _ => None,
        }
    }

    /// Returns the prefix of a hash's blobs.
    pub(super) fn hash_path(&self, hash: &SongHash) -> Path {
        self.prefix.clone().join(hash.to_string())
    }

    /// Returns the metadata of an object; `None` if it does not exist.
    pub(super) async fn head(&self, path: &Path) -> Result<Option<GetResult>, BlobError> {
        self.get(path, GetOptions { head: true, ..GetOptions::default() }).await.map_err(|error| blob_error(&error))
    }

    /// Opens an object or a range of it; `None` if it does not exist.
    pub(super) async fn read(&self, path: &Path, range: Option<Range<u64>>) -> Result<Option<GetResult>, BlobError> {
        let Some(range) = range else {
            return self.get(path, GetOptions::default()).await.map_err(|error| blob_error(&error));
        };
        // Some servers mishandle empty ranges and ranges beyond the maximum object size.
        let is_valid = range.start < range.end && i64::try_from(range.end).is_ok();
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let error = match if is_valid { Some(self.get(path, options).await) } else { None } {
            // A range beyond the end is returned truncated.
            Some(Ok(Some(found))) if found.range != range => {
                return Err(BlobError::Range { size_bytes: found.meta.size });
            }
            Some(Ok(found)) => return Ok(found),
            // For other errors a second request would not help.
            Some(Err(error)) if ParsedError::of(&error).status != Some(416) => return Err(blob_error(&error)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        let Some(found) = self.head(path).await? else { return Ok(None) };
        let size_bytes = found.meta.size;
        match error {
            Some(error) if is_valid && range.end <= size_bytes => Err(blob_error(&error)),
            _ => Err(BlobError::Range { size_bytes }),
        }
    }

    async fn get(&self, path: &Path, options: GetOptions) -> object_store::Result<Option<GetResult>> {
        match self.s3.get_opts(path, options).await {
            Ok(found) => Ok(Some(found)),
            Err(error @ object_store::Error::NotFound { .. })
                if !ParsedError::of(&error).has_code(&["NoSuchBucket"]) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Converts the error from listing the bucket.
fn open_error(error: &object_store::Error, settings: &S3Settings) -> S3Error {
    let parsed = ParsedError::of(error);
    let bucket = settings.bucket().to_owned();
    if parsed.is_lost {
        return S3Error::Unreachable { endpoint: settings.endpoint(), source: parsed.into() };
    }
    if parsed.has_code(&["NoSuchBucket"]) {
        return S3Error::BucketMissing { bucket };
    }
    if parsed.is_of_another_region() {
        return S3Error::Region { bucket, region: settings.region().to_owned(), source: parsed.into() };
    }
    // An expired token is reported as a bad request.
    if matches!(parsed.status, Some(401 | 403)) || parsed.has_code(&["ExpiredToken", "InvalidToken"]) {
        return S3Error::CredentialsRefused { bucket, source: parsed.into() };
    }
    S3Error::Unavailable { bucket, source: parsed.into() }
}

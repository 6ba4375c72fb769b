//! The bucket, as everything here asks for it.

use std::ops::Range;

use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use vocalizer_core::ports::{BlobError, BlobKey};
use vocalizer_core::song::SongHash;

use super::answer::{Answer, sorted};
use super::error::S3Error;
use super::settings::S3Settings;

/// A bucket that has answered once.
pub(super) struct Bucket {
    pub(super) s3: AmazonS3,
    pub(super) prefix: Path,
    pub(super) name: String,
}

impl Bucket {
    pub(super) async fn open(settings: &S3Settings) -> Result<Self, S3Error> {
        let s3 = settings.build()?;
        // By itself first, since the machine's own may fail in ways that look like those of the bucket.
        if let Err(error) = s3.credentials().get_credential().await {
            return Err(S3Error::CredentialsMissing(Answer::of(&error).into()));
        }
        let bucket = Self { s3, prefix: settings.prefix().clone(), name: settings.bucket().to_owned() };
        match bucket.check().await {
            Ok(()) => Ok(bucket),
            Err(error) => Err(refusal(&error, settings)),
        }
    }

    /// Whether the bucket is there and can be listed.
    pub(super) async fn check(&self) -> object_store::Result<()> {
        let one = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let listed = match self.prefix.as_ref() {
            "" => self.s3.list_paginated(None, one).await,
            prefix => self.s3.list_paginated(Some(&format!("{prefix}/")), one).await,
        };
        listed.map(|_| ())
    }

    /// Where a blob is.
    pub(super) fn path(&self, key: &BlobKey) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }

    /// The key of something that was made; `None` for everything else.
    pub(super) fn made_key(&self, path: &Path) -> Option<BlobKey> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        match parts.as_slice() {
            [hash, dir, name] if dir.as_ref() == "made" => BlobKey::of_made(hash.as_ref().parse().ok()?, name.as_ref()),
            _ => None,
        }
    }

    /// Where the blobs of a hash are.
    pub(super) fn shelf(&self, hash: &SongHash) -> Path {
        self.prefix.clone().join(hash.to_string())
    }

    /// What is known of an object, without its bytes; `None` where there is none.
    pub(super) async fn head(&self, path: &Path) -> Result<Option<GetResult>, BlobError> {
        self.get(path, GetOptions { head: true, ..GetOptions::default() }).await.map_err(|error| sorted(&error))
    }

    /// An object from now on, or some of its bytes; `None` where there is none.
    pub(super) async fn read(&self, path: &Path, range: Option<Range<u64>>) -> Result<Option<GetResult>, BlobError> {
        let Some(range) = range else {
            return self.get(path, GetOptions::default()).await.map_err(|error| sorted(&error));
        };
        // Not every server makes sense of a range that makes none, or of more bytes than an object ever has.
        let is_sound = range.start < range.end && i64::try_from(range.end).is_ok();
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let error = match if is_sound { Some(self.get(path, options).await) } else { None } {
            // A range that reaches past the end comes cut short.
            Some(Ok(Some(found))) if found.range != range => {
                return Err(BlobError::Range { size_bytes: found.meta.size });
            }
            Some(Ok(found)) => return Ok(found),
            // Whatever else went wrong, another request would not tell more.
            Some(Err(error)) if Answer::of(&error).status != Some(416) => return Err(sorted(&error)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        let Some(found) = self.head(path).await? else { return Ok(None) };
        let size_bytes = found.meta.size;
        match error {
            Some(error) if is_sound && range.end <= size_bytes => Err(sorted(&error)),
            _ => Err(BlobError::Range { size_bytes }),
        }
    }

    async fn get(&self, path: &Path, options: GetOptions) -> object_store::Result<Option<GetResult>> {
        match self.s3.get_opts(path, options).await {
            Ok(found) => Ok(Some(found)),
            Err(error @ object_store::Error::NotFound { .. }) if !Answer::of(&error).has_code(&["NoSuchBucket"]) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Why a bucket cannot be listed.
fn refusal(error: &object_store::Error, settings: &S3Settings) -> S3Error {
    let answer = Answer::of(error);
    let bucket = settings.bucket().to_owned();
    if answer.is_lost {
        return S3Error::Unreachable { endpoint: settings.endpoint(), source: answer.into() };
    }
    if answer.has_code(&["NoSuchBucket"]) {
        return S3Error::BucketMissing { bucket };
    }
    if answer.is_of_another_region() {
        return S3Error::Region { bucket, region: settings.region().to_owned(), source: answer.into() };
    }
    // A token that has run out is a bad request.
    if matches!(answer.status, Some(401 | 403)) || answer.has_code(&["ExpiredToken", "InvalidToken"]) {
        return S3Error::CredentialsRefused { bucket, source: answer.into() };
    }
    S3Error::Unavailable { bucket, source: answer.into() }
}

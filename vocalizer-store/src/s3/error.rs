//! Errors of the bucket.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vocalizer_core::ports::BoxError;

/// An error from opening a bucket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum S3Error {
    /// The bucket address is invalid.
    #[error("invalid bucket address (use s3://bucket or s3://bucket/prefix): {flaw}")]
    Url {
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// A variable has an invalid value.
    #[error("{name} {flaw}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// The folder for temporary files cannot be created.
    #[error("cannot use the work folder {}", path.display())]
    WorkDir {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The client could not be created, for example because the system trusts no certificates.
    #[error("cannot set up the S3 client")]
    Setup(#[source] BoxError),
    /// The bucket does not exist.
    #[error("the bucket {bucket} does not exist; create it first")]
    BucketMissing {
        /// The bucket.
        bucket: String,
    },
    /// No credentials are set, and the machine provides none.
    #[error("no credentials for the bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or assign a machine role")]
    CredentialsMissing(#[source] BoxError),
    /// The credentials are wrong, expired, or not valid for this bucket.
    #[error("the credentials give no access to the bucket {bucket}")]
    CredentialsRefused {
        /// The bucket.
        bucket: String,
        /// The endpoint's error.
        #[source]
        source: BoxError,
    },
    /// The bucket is in another region.
    #[error("the bucket {bucket} is not in the region {region}; set AWS_REGION to its region")]
    Region {
        /// The bucket.
        bucket: String,
        /// The configured region.
        region: String,
        /// The endpoint's error.
        #[source]
        source: BoxError,
    },
    /// The endpoint does not respond.
    #[error("{endpoint} cannot be reached")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// The network error.
        #[source]
        source: BoxError,
    },
    /// The endpoint returned an unexpected response.
    #[error("cannot use the bucket {bucket}")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The endpoint's error.
        #[source]
        source: BoxError,
    },
}

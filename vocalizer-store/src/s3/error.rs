//! What can be wrong with a bucket.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vocalizer_core::ports::BoxError;

/// Why a bucket could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum S3Error {
    /// The address is none of a bucket.
    #[error("an address of a bucket reads s3://bucket or s3://bucket/prefix, but in this one {flaw}")]
    Url {
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// A variable has a value that it cannot have.
    #[error("{name} {flaw}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// The folder for what is being written cannot be made.
    #[error("the work folder {} cannot be used", path.display())]
    WorkDir {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The client could not be set up, as where the system trusts no certificate at all.
    #[error("the client of the bucket cannot be set up")]
    Setup(#[source] BoxError),
    /// The endpoint knows no such bucket.
    #[error("there is no bucket {bucket}; create it first")]
    BucketMissing {
        /// The bucket.
        bucket: String,
    },
    /// None were given, and the machine has none of its own.
    #[error(
        "no credentials for the bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    )]
    CredentialsMissing(#[source] BoxError),
    /// They are wrong or expired, or do not cover this bucket.
    #[error("the credentials do not open the bucket {bucket}")]
    CredentialsRefused {
        /// The bucket.
        bucket: String,
        /// What the endpoint says.
        #[source]
        source: BoxError,
    },
    /// The endpoint knows the bucket to be in another region than the one it was asked for in.
    #[error("the bucket {bucket} is not in the region {region}; set AWS_REGION to where it is")]
    Region {
        /// The bucket.
        bucket: String,
        /// The region in which it was looked for.
        region: String,
        /// What the endpoint says.
        #[source]
        source: BoxError,
    },
    /// Nobody answers at the endpoint.
    #[error("{endpoint} cannot be reached")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// What the network says.
        #[source]
        source: BoxError,
    },
    /// The endpoint answers, and not as it should.
    #[error("the bucket {bucket} cannot be used")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// What the endpoint says.
        #[source]
        source: BoxError,
    },
}

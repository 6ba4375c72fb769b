//! Blobs in a bucket of S3 or a compatible server.
//!
//! ```text
//! s3://bucket/prefix/ab12…/source             an uploaded song
//! s3://bucket/prefix/ab12…/drums.mp3          one of its stems
//! s3://bucket/prefix/ab12…/made/drums.flac    a stem in another format
//! ```
//!
//! A blob is written to a local temporary file and uploaded on commit: in one request, or in parts if it is large. It
//! becomes visible when the last part is complete.
//!
//! Add a lifecycle rule to the bucket that aborts incomplete multipart uploads after one day: parts left by a killed
//! process are not visible to [`BlobStore::sweep`](vocalizer_core::ports::BlobStore::sweep), but are billed.
//!
//! # Example
//!
//! ```no_run
//! use std::path::Path;
//!
//! use vocalizer_core::ports::BlobStore;
//! use vocalizer_store::s3::{S3Blobs, S3Settings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Usually taken from the environment.
//! let variables = [
//!     ("AWS_ENDPOINT_URL", "https://s3.example.org"),
//!     ("AWS_ACCESS_KEY_ID", "vocalizer"),
//!     ("AWS_SECRET_ACCESS_KEY", "correct horse"),
//! ];
//! let settings = S3Settings::parse("s3://songs/vocalizer", variables)?;
//! let blobs = S3Blobs::open(settings, Path::new("/var/lib/vocalizer/work")).await?;
//! assert!(blobs.hashes().await?.is_empty());
//! # Ok(())
//! # }
//! ```

mod bucket;
mod error;
mod http;
mod parsed_error;
mod reader;
mod settings;
mod store;
mod upload;
mod writer;

pub use error::S3Error;
pub use settings::S3Settings;
pub use store::S3Blobs;

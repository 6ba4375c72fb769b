//! Blobs in a bucket, of S3 or of a server that speaks like it.
//!
//! ```text
//! s3://bucket/prefix/ab12…/source             an uploaded song
//! s3://bucket/prefix/ab12…/drums.mp3          a stem of it
//! s3://bucket/prefix/ab12…/made/drums.flac    a stem in another format
//! ```
//!
//! A blob is written to a temporary file of this machine, and goes up when it is committed: in one request, or in
//! parts where it is large. Until the last of them is in there is nothing under its name.
//!
//! Let a rule of the bucket abort incomplete multipart uploads after a day: parts of an upload whose process was killed
//! are in no list that [`BlobStore::sweep`](vocalizer_core::ports::BlobStore::sweep) sees, and are paid for.
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
//! // As a program would take them from its environment.
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

mod answer;
mod bucket;
mod error;
mod http;
mod reader;
mod settings;
mod store;
mod upload;
mod writer;

pub use error::S3Error;
pub use settings::S3Settings;
pub use store::S3Blobs;

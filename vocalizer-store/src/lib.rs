//! Storage adapters for Vocalizer.
//!
//! | module | what it stores |
//! | --- | --- |
//! | [`sqlite`] | songs, users and the job outbox, in a SQLite file |
//! | `postgres` | feature `postgres`: the same in a PostgreSQL database, for several servers, and their shared state |
//! | [`files`] | uploaded songs and stems, as files |
//! | `s3` | feature `s3`: uploaded songs and stems, in a bucket |
//! | [`archive`] | the tar in which a worker returns four stems, which is not trusted |
//! | [`system`] | nothing: what a program needs from the machine, such as the clock, a folder lock and the stop signal |
//!
//! They implement ports of `vocalizer-core` and pass its conformance suites.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use vocalizer_core::limits::Limits;
//! use vocalizer_core::ports::Stems;
//! use vocalizer_store::archive::{self, ArchiveError};
//!
//! # fn main() -> Result<(), ArchiveError> {
//! let mp3 = |bytes: &'static [u8]| Bytes::from_static(bytes);
//! let stems = Stems { drums: mp3(b"boom"), bass: mp3(b"hum"), other: mp3(b"plink"), vocals: mp3(b"la") };
//!
//! let tar = archive::write(&stems, Vec::new())?;
//! assert_eq!(archive::read_stems(tar.as_slice(), &Limits::default())?, stems);
//!
//! // A truncated archive is an error.
//! assert!(archive::read_stems(&tar[..tar.len() / 2], &Limits::default()).is_err());
//! # Ok(())
//! # }
//! ```

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod archive;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod system;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

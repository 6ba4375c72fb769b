//! The domain of Vocalizer: songs, accounts, access rules, and the ports to external systems.
//!
//! Vocalizer accepts songs, splits each into stems and serves them. This crate holds only the rules: no I/O, no
//! runtime, no framework. Databases, queues, models and HTTP are in adapter crates. Each depends on this crate and on
//! no other adapter.
//!
//! | module | contents |
//! | --- | --- |
//! | [`part`] | the stems a model can produce and the parts a client can ask for |
//! | [`song`] | a song, its hash and its life from upload to stems |
//! | [`account`] | users, sessions and who may see or delete what |
//! | [`dedupe`] | what songs with equal bytes share, and when their blobs are deleted |
//! | [`models`] | the models that an operator allows, and what a worker can do |
//! | [`quota`] | how much one uploader may store and upload |
//! | [`api`] | the types of the HTTP API, from `vocalizer-api` |
//! | [`causes`] | an error and its causes in one line |
//! | [`limits`] | limits on all external input |
//! | [`ports`] | one small trait per external system, with its guarantees |
//! | [`service`] | the use cases, over the ports |
//! | [`worker`] | the loop that takes jobs, splits songs and delivers stems |
//! | [`secret`] | values that must not appear in logs |
//! | [`trace`] | the trace that the current work belongs to |
//!
//! # Example
//!
//! A song changes its status only through transitions:
//!
//! ```
//! use time::OffsetDateTime;
//! use vocalizer_core::account::{UserId, Viewer};
//! use vocalizer_core::limits::Limits;
//! use vocalizer_core::song::{Song, SongHash, SongId, StatusKind, Title};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::default();
//! let owner = UserId::random();
//! let title = Title::parse("  Clair de lune ", limits.max_title_chars)?;
//! let hash = SongHash::of(b"the bytes that were uploaded");
//! let mut song = Song::begin(SongId::random(), title, hash, Some(owner), OffsetDateTime::UNIX_EPOCH);
//!
//! song.finish_upload()?;
//! song.begin_splitting()?;
//! song.accept_stems()?;
//! assert_eq!(song.status().kind(), StatusKind::Split);
//!
//! // A split song cannot be split again.
//! assert!(song.begin_splitting().is_err());
//!
//! // Only its uploader can see it.
//! assert!(Viewer::User(owner).may_see(&song));
//! assert!(!Viewer::Anonymous.may_see(&song));
//! # Ok(())
//! # }
//! ```

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod account;
pub mod dedupe;
pub mod events;
#[cfg(feature = "memory")]
pub mod memory;
pub mod models;
pub mod ports;
pub mod quota;
pub mod service;
pub mod song;
#[cfg(feature = "system-clock")]
mod system_clock;
pub mod tally;
pub mod trace;
pub mod webhook;
pub mod worker;

mod wire;

#[cfg(feature = "system-clock")]
pub use system_clock::SystemClock;
/// The types of the HTTP API.
pub use vocalizer_api as api;
pub use vocalizer_api::{causes, limits, part, secret};

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

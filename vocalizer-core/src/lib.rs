//! The domain of Vocalizer: what a song is, what may happen to it, who may see it, and which outside things that takes.
//!
//! Vocalizer takes songs in, splits each into stems and gives them back. This crate holds the rules of that and nothing
//! else: no I/O, no runtime, no framework. Databases, queues, models and HTTP live in adapter crates, each of which
//! depends on this one and on no other adapter.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`part`] | the stems a model can produce and the parts a client can ask for |
//! | [`song`] | a song, its hash and its life from upload to stems |
//! | [`account`] | users, sessions and who may see or delete what |
//! | [`dedupe`] | what equal bytes share, and when the last song takes them along |
//! | [`quota`] | how much one uploader may store and upload |
//! | [`api`] | the JSON that server and client exchange |
//! | [`causes`] | an error with what caused it, in one line |
//! | [`limits`] | every bound on what comes in from outside |
//! | [`ports`] | one small trait per outside thing, with its promises written down |
//! | [`service`] | the use cases, over the ports |
//! | [`worker`] | the loop that takes jobs, splits songs and delivers stems |
//! | [`secret`] | values that must not reach a log |
//! | `conformance` | feature `conformance`: the suites that every adapter of a port is held to |
//!
//! # Example
//!
//! A song goes from upload to stems through its transitions, and through nothing else:
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
//! // A split song is not split again, and says so.
//! assert!(song.begin_splitting().is_err());
//!
//! // It belongs to its uploader alone; to anyone else it does not exist.
//! assert!(Viewer::User(owner).may_see(&song));
//! assert!(!Viewer::Anonymous.may_see(&song));
//! # Ok(())
//! # }
//! ```

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod account;
pub mod api;
pub mod causes;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dedupe;
pub mod limits;
#[cfg(feature = "memory")]
pub mod memory;
pub mod part;
pub mod ports;
pub mod quota;
pub mod secret;
pub mod service;
pub mod song;
pub mod tally;
pub mod worker;

mod id;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

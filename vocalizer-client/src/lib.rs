//! Talks to a Vocalizer server: upload a song, wait until it is split, download its stems.
//!
//! # Example
//!
//! ```no_run
//! use vocalizer_client::{Client, Error, Format, Secret, Upload};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let client = Client::builder("https://vocalizer.example").build()?;
//!     // Without a session a song is open to everybody.
//!     client.login("ada", &Secret::new("correct horse".to_owned())).await?;
//!
//!     let song = client.upload(Upload::from_path("Clair de lune", "clair.flac")).await?;
//!     client.wait_with(song.id, |song| println!("{:?} {:?}", song.status, song.progress)).await?;
//!     for path in client.download_stems(song.id, Format::Mp3, "stems").await? {
//!         println!("{}", path.display());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What it does and does not do
//!
//! A [`Client`] keeps its session's cookie and is cheap to clone; clones share the session. It follows no redirects: a
//! password or a song sent to an address that answers with one is better not sent on. Calls that only read are tried
//! again, a bounded number of times, and a download that breaks goes on where it broke; a call that changes something is
//! sent once. Whatever a server answers, the memory that is used has a bound, and so has every silence.
//!
//! It needs a tokio runtime.
//!
//! The feature `worker` adds what a worker needs that leases jobs from the server and brings stems back.

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accounts;
mod answer;
mod builder;
mod client;
mod download;
mod error;
mod events;
mod fetch;
mod file;
mod flow;
mod query;
mod retry;
mod save;
mod songs;
mod tls;
mod upload;
mod wait;
#[cfg(feature = "worker")]
pub mod worker;

pub use accounts::NewToken;
pub use builder::ClientBuilder;
pub use client::Client;
pub use download::Download;
pub use error::{BoxError, Error};
pub use file::{Archive, SongFile};
pub use query::{SongQuery, SongsPage};
pub use upload::Upload;
pub use vocalizer_core::account::{TokenId, UserId};
pub use vocalizer_core::api::{
    ApiError, ErrorCode, LimitsView, QuotaView, RegistrationView, SongStatus, SongView, TokenView, UserView,
};
pub use vocalizer_core::part::{Format, Part};
pub use vocalizer_core::secret::Secret;
pub use vocalizer_core::song::SongId;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

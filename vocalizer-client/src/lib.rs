//! An async client for Vocalizer servers: upload a song, wait until it is split, download its stems.
//!
//! # Example
//!
//! ```no_run
//! use vocalizer_client::{Client, Error, Format, Secret, Upload};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let client = Client::builder("https://vocalizer.example").build()?;
//!     // Songs uploaded without a login are visible to everyone.
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
//! # Behaviour
//!
//! - A [`Client`] keeps its session cookie. It is cheap to clone; clones share the session.
//! - It does not follow redirects, so that passwords and songs are not sent to another address.
//! - It retries uploads and calls that only read, a limited number of times, and resumes interrupted downloads. It
//!   sends any other call that changes something once.
//! - It creates a `tracing` span for each request, at level `debug`: method, path, status and the request's ID in the
//!   server's log.
//! - Memory use is limited for any response, and every wait for data has a timeout.
//!
//! It needs a tokio runtime.
//!
//! The feature `worker` adds the ports of a remote worker, which leases jobs from the server and uploads stems. The feature
//! `webhook-sender` adds the sender of a server's webhooks, `oidc` a server's sign-in with an OpenID Connect provider.

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Callers spawn what they await.
#![warn(clippy::future_not_send)]

mod accounts;
mod admin;
mod answer;
mod builder;
mod client;
mod download;
mod error;
mod events;
mod fetch;
mod file;
mod flow;
mod identity;
mod labels;
mod markers;
mod models;
#[cfg(feature = "oidc")]
pub mod oidc;
mod operations;
mod query;
mod resumable;
mod retry;
mod save;
mod service;
mod shares;
mod songs;
mod tls;
mod traceparent;
mod trash;
mod upload;
mod watch;
pub mod webhooks;
#[cfg(feature = "worker")]
pub mod worker;

pub use accounts::NewToken;
pub use admin::{Admin, AdminSongQuery, AdminUserQuery};
pub use builder::ClientBuilder;
pub use client::Client;
pub use download::{Download, FileInfo};
pub use error::{BoxError, Error};
pub use file::{Archive, Gains, SongFile};
pub use models::SplitWith;
pub use operations::Readiness;
pub use query::{SongQuery, SongsPage, SortBy};
pub use reqwest;
pub use save::{DownloadStems, DownloadTo};
pub use service::HttpService;
pub use shares::{NewShare, Share};
pub use upload::Upload;
/// An error and its causes in one line, for logs.
pub use vocalizer_api::causes::chain;
pub use vocalizer_api::id::SongId;
pub use vocalizer_api::id::{DeliveryId, MarkerId, ShareId, TokenId, UploadId, UserId, WebhookId};
pub use vocalizer_api::part::{Format, Part, Stem};
pub use vocalizer_api::secret::Secret;
pub use vocalizer_api::{
    AdminJobView, AdminJobsData, AdminSongView, AdminSongsData, AdminUserView, AdminUsersData, AuditView, HoldData,
    JobStateView, OwnLimit, OwnLimitsView, SpaceView, StorageData, StoredView,
};
pub use vocalizer_api::{
    Analysis, ApiError, DeliveryStatus, DeliveryView, ErrorCode, Key, LabelView, LimitsView, MarkerView, Mode,
    ModelView, PeaksView, Provenance, ProviderView, QuotaView, RegistrationView, ShareMix, ShareView, SharedData,
    SignInView, SongStatus, SongView, Tempo, TokenView, Tonic, TrashedSongView, UploadView, UserView, WebhookEvent,
    WebhookPayload, WebhookView,
};
pub use watch::Change;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

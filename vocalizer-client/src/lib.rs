//! Talks to a Vocalizer server: upload a song, wait until it is split, download its stems.
//!
//! # Example
//!
//! ```no_run
//! use vocalizer_client::{Client, Error, Part, Secret, Upload};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let client = Client::builder("https://vocalizer.example").build()?;
//! // Without a session a song is open to everybody.
//! client.login("ada", &Secret::new("correct horse".to_owned())).await?;
//!
//! let song = client.upload(Upload::from_path("Clair de lune", "clair.flac")).await?;
//! client.wait(song.id).await?;
//! for part in [Part::Vocals, Part::Drums, Part::Bass, Part::Other] {
//!     client.download_to(song.id, part, format!("{part}.mp3")).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it does and does not do
//!
//! A [`Client`] keeps its session's cookie and is cheap to clone; clones share the session. It follows no redirects: a
//! password or a song sent to an address that answers with one is better not sent on. Nothing is tried again, except by
//! [`Client::wait`]. Whatever a server answers, the memory that is used has a bound.
//!
//! It needs a tokio runtime.

mod answer;
mod builder;
mod client;
mod download;
mod error;
mod upload;

pub use builder::ClientBuilder;
pub use client::Client;
pub use download::Download;
pub use error::{BoxError, Error};
pub use upload::Upload;
pub use vocalizer_core::api::{ApiError, ErrorCode, SongStatus, SongView};
pub use vocalizer_core::part::Part;
pub use vocalizer_core::secret::Secret;
pub use vocalizer_core::song::SongId;

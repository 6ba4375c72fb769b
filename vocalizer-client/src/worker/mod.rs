//! The core's backend and queue ports over HTTP, for remote workers.
//!
//! A worker sends reports and results to a [`RemoteBackend`]; it works with any queue. [`RemoteQueue`] leases jobs from
//! the backend itself, for workers without access to a broker or a database.
//!
//! The worker token is only sent to the backend's own address: redirects are not followed, and jobs with a song
//! location elsewhere are refused. A rejected token costs no song an attempt: all calls are then
//! [unavailable](vocalizer_core::ports::BackendError::Unavailable) until the token is corrected.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use vocalizer_client::worker::RemoteSettings;
//! use vocalizer_core::ports::{ResultWriter, Separator};
//!
//! async fn work(
//!     archive: Arc<dyn ResultWriter>,
//!     separator: Arc<dyn Separator>,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let settings = RemoteSettings::new("https://vocalizer.example", std::env::var("WORKER_TOKEN")?);
//!     settings.worker(archive, separator)?.build().run(std::future::pending()).await;
//!     Ok(())
//! }
//! ```

mod backend;
mod calls;
mod connect;
mod queue;
mod settings;
mod song;

pub use backend::RemoteBackend;
pub use queue::RemoteQueue;
pub use settings::RemoteSettings;

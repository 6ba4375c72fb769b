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
//! use vocalizer_client::Secret;
//! use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
//! use vocalizer_core::ports::{Clock, ResultWriter, Separator};
//! use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};
//!
//! async fn work(
//!     archive: Arc<dyn ResultWriter>,
//!     separator: Arc<dyn Separator>,
//!     clock: Arc<dyn Clock>,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let settings = RemoteSettings {
//!         url: "https://vocalizer.example".parse()?,
//!         token: Some(Secret::new(std::env::var("WORKER_TOKEN")?)),
//!         ca: None,
//!     };
//!     let ports = WorkerPorts {
//!         queue: Arc::new(RemoteQueue::new(settings.clone())?),
//!         backend: Arc::new(RemoteBackend::new(settings, archive)?),
//!         separator,
//!         clock,
//!     };
//!     Worker::new(ports, WorkerSettings::default()).run(std::future::pending()).await;
//!     Ok(())
//! }
//! ```

mod backend;
mod calls;
mod queue;
mod settings;
mod song;

pub use backend::RemoteBackend;
pub use queue::RemoteQueue;
pub use settings::RemoteSettings;

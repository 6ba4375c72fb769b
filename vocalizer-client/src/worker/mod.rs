//! The backend and the queue of a worker that is elsewhere: core's ports over HTTP.
//!
//! [`RemoteBackend`] is where a worker reports and delivers; it goes with any queue. [`RemoteQueue`] leases jobs from the
//! backend itself, for a worker that reaches no broker and no database.
//!
//! The worker's token goes to the backend's own address and nowhere else: redirects are not followed, and a job whose
//! song is said to be elsewhere is refused. A token that is not taken costs no song an attempt: everything is then
//! [unavailable](vocalizer_core::ports::BackendError::Unavailable) until somebody puts it right.
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

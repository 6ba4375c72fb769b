//! A worker for a backend.

use std::sync::Arc;

use vocalizer_core::ports::{ResultWriter, Separator};
use vocalizer_core::worker::{Worker, WorkerBuilder};

use super::backend::RemoteBackend;
use super::queue::RemoteQueue;
use super::settings::RemoteSettings;
use crate::Error;

impl RemoteSettings {
    /// Returns a builder for a worker that takes its jobs from this backend and delivers the stems to it. `archive` packs
    /// them: `TarResults` of `vocalizer-store`. It needs a token: without one, the backend gives no jobs.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// use vocalizer_client::worker::RemoteSettings;
    /// use vocalizer_core::worker::WorkerSettings;
    /// # use vocalizer_core::ports::{ResultWriter, Separator};
    ///
    /// # async fn work(
    /// #     remote: RemoteSettings, archive: Arc<dyn ResultWriter>, separator: Arc<dyn Separator>,
    /// #     shutdown: impl Future<Output = ()> + Send,
    /// # ) -> Result<(), vocalizer_client::Error> {
    /// let settings = WorkerSettings { grace: Duration::from_secs(60), ..WorkerSettings::default() };
    /// let worker = remote.worker(archive, separator)?.with_settings(settings).build();
    /// worker.run(shutdown).await;
    /// println!("{} songs split", worker.counts().done());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Address`] or [`Error::Setup`].
    pub fn worker(
        &self,
        archive: Arc<dyn ResultWriter>,
        separator: Arc<dyn Separator>,
    ) -> Result<WorkerBuilder, Error> {
        let client = self.client()?;
        let (queue, backend) = (RemoteQueue::over(client.clone()), RemoteBackend::over(client, archive));
        Ok(Worker::builder(Arc::new(queue), Arc::new(backend), separator))
    }
}

//! Workers in this process and the loading of their model.

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, join_all, select};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::{Backend, BoxError, Clock, JobQueue, Separator};
use vocalizer_core::worker::{Worker, WorkerSettings};
use vocalizer_http::server::{Metric, MoreMetrics, Readiness};

/// A loaded separator.
pub struct Loaded {
    /// The separator.
    pub separator: Arc<dyn Separator>,
    /// The compute device.
    pub device: String,
    /// The number format that it computes in, such as `f32`.
    pub precision: String,
    /// Resolves with the error message when the device fails.
    pub device_failure: Pin<Box<dyn Future<Output = String> + Send>>,
}

/// Loads a separator that works in the given folder. Runs in a separate thread and may take minutes.
pub type Load = Box<dyn FnOnce(PathBuf) -> Result<Loaded, BoxError> + Send>;

/// Workers that start once their model is loaded.
pub(super) struct LocalWorkers {
    /// A model's name or a weights file.
    pub(super) model: String,
    /// The loader of the model.
    pub(super) load: Load,
    /// The folder for temporary files.
    pub(super) work: PathBuf,
    /// The number of concurrent songs.
    pub(super) at_once: u16,
    /// The grace period for current songs at shutdown.
    pub(super) grace: Duration,
    /// The source of jobs.
    pub(super) queue: Arc<dyn JobQueue>,
    /// Which jobs to take.
    pub(super) capabilities: Capabilities,
    /// The destination of results.
    pub(super) backend: Arc<dyn Backend>,
    /// The clock.
    pub(super) clock: Arc<dyn Clock>,
    /// Readiness and metrics.
    pub(super) state: Arc<WorkerState>,
}

/// Readiness and metrics of the workers.
#[derive(Default)]
pub(super) struct WorkerState(OnceLock<Ready>);

struct Ready {
    model: String,
    device: String,
    precision: String,
    worker: Worker,
}

impl LocalWorkers {
    /// Loads the model and splits songs until shutdown.
    ///
    /// # Errors
    ///
    /// Fails if the model cannot be fetched or loaded, or if its device fails during a song. The song is retried by another
    /// attempt, but this worker takes no more songs, because a lost device would fail all of them.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), BoxError> {
        let (load, work) = (self.load, self.work);
        let (sender, loaded) = oneshot::channel();
        // A separate thread: fetching may take minutes, and shutdown does not wait for it.
        std::thread::Builder::new().name("model".to_owned()).spawn(move || sender.send(load(work)))?;
        let Loaded { separator, device, precision, device_failure } = tokio::select! {
            loaded = loaded => loaded??,
            () = stop.cancelled() => return Ok(()),
        };
        tracing::info!(model = self.model, device, precision, "model loaded; ready for songs");
        let worker = Worker::builder_with_clock(self.queue, self.backend, separator, self.clock)
            .with_capabilities(self.capabilities)
            .with_settings(WorkerSettings { grace: self.grace, ..WorkerSettings::default() })
            .build();
        let _ = self.state.0.set(Ready { model: self.model, device, precision, worker: worker.clone() });
        let end = stop.child_token();
        let watching = async {
            let why = device_failure.await;
            end.cancel();
            why
        };
        let working = join_all((0..self.at_once.max(1)).map(|_| worker.run(end.clone().cancelled_owned())));
        // After a device failure, wait for the workers to hand back the current song.
        match select(pin!(watching), pin!(working)).await {
            Either::Right(_) => Ok(()),
            Either::Left((why, working)) => {
                working.await;
                Err(format!("{why}; the current song is retried, and this worker takes no more songs").into())
            }
        }
    }
}

#[async_trait]
impl Readiness for WorkerState {
    fn name(&self) -> &'static str {
        "worker"
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.get() {
            Some(ready) if ready.worker.is_pausing() => Err("worker paused after errors; see its log".to_owned()),
            Some(_) => Ok(()),
            None => Err("model not loaded yet; uploads are accepted and queued".to_owned()),
        }
    }
}

impl MoreMetrics for WorkerState {
    fn metrics(&self) -> Vec<Metric> {
        let Some(Ready { model, device, precision, worker }) = self.0.get() else { return Vec::new() };
        let counts = worker.counts();
        let seconds = |name, help, ms| Metric::Seconds { name, help, total: Duration::from_millis(ms) };
        vec![
            Metric::Info {
                name: "worker",
                help: "The worker's device, model and precision.",
                labels: vec![("device", device.clone()), ("model", model.clone()), ("precision", precision.clone())],
            },
            Metric::Counters {
                name: "worker_songs",
                help: "Songs by outcome.",
                label: "ended",
                counts: vec![
                    ("done".into(), counts.done()),
                    ("failed".into(), counts.failed()),
                    ("retried".into(), counts.retried()),
                ],
            },
            // Audio seconds divided by busy seconds is the real-time factor.
            seconds("worker_busy", "Time spent separating.", counts.busy_ms()),
            seconds("worker_audio", "Audio separated.", counts.audio_ms()),
        ]
    }
}

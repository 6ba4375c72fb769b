//! The worker of the one-process service, and the model it waits for.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};
use vocalizer_core::ports::{BoxError, Clock, JobQueue};
use vocalizer_core::service::SongService;
use vocalizer_core::worker::{Worker, WorkerCounts, WorkerPorts, WorkerSettings};
use vocalizer_http::server::{MoreMetrics, Readiness};
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{Model, SplitOptions};

use super::Config;
use super::stop::stopped;
use crate::cli;

/// A worker that begins when its model is there.
pub(super) struct LocalWorker {
    model: String,
    work: PathBuf,
    grace: Duration,
    songs: SongService,
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    state: Arc<WorkerState>,
}

/// What is known of the worker from outside.
#[derive(Default)]
pub(super) struct WorkerState {
    counts: Mutex<Option<Arc<WorkerCounts>>>,
}

pub(super) fn worker(
    model: String,
    work: PathBuf,
    config: &Config,
    (songs, queue, clock): (SongService, Arc<dyn JobQueue>, Arc<dyn Clock>),
) -> (LocalWorker, Arc<WorkerState>) {
    let state = Arc::<WorkerState>::default();
    let grace = config.shutdown_grace;
    (LocalWorker { model, work, grace, songs, queue, clock, state: Arc::clone(&state) }, state)
}

impl LocalWorker {
    /// Fetches the model, loads it, and splits songs until it is time to stop.
    ///
    /// # Errors
    ///
    /// When the model cannot be had or loaded.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) -> Result<(), BoxError> {
        let name = self.model.clone();
        let (sender, loaded) = oneshot::channel();
        // A thread of its own: fetching may take minutes, and nobody waits for it when the service stops.
        std::thread::Builder::new().name("model".to_owned()).spawn(move || sender.send(cli::load_model(&name)))?;
        let model = tokio::select! {
            model = loaded => model??,
            () = stopped(stop.clone()) => return Ok(()),
        };
        tracing::info!(model = self.model, "the model is loaded; songs are split");
        let separator = separator(model, self.work)?;
        let ports = WorkerPorts {
            queue: self.queue,
            backend: Arc::new(self.songs),
            separator: Arc::new(separator),
            clock: self.clock,
        };
        let worker = Worker::new(ports, WorkerSettings { grace: self.grace, ..WorkerSettings::default() });
        *self.state.counts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(worker.counts()));
        worker.run(stopped(stop)).await;
        Ok(())
    }
}

fn separator(model: Model, work: PathBuf) -> Result<ModelSeparator, BoxError> {
    Ok(ModelSeparator::new(Arc::new(model), SplitOptions::default(), work)?)
}

#[async_trait]
impl Readiness for WorkerState {
    fn name(&self) -> &'static str {
        "worker"
    }

    async fn check(&self) -> Result<(), String> {
        match *self.counts.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(_) => Ok(()),
            None => Err("the model is not loaded yet; uploads are taken and wait".to_owned()),
        }
    }
}

impl MoreMetrics for WorkerState {
    fn write(&self, out: &mut String) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(counts) = counts.as_ref() else { return };
        let songs = [("done", counts.done()), ("failed", counts.failed()), ("retried", counts.retried())];
        out.push_str("# HELP vocalizer_worker_songs Songs by how work on them ended.\n");
        out.push_str("# TYPE vocalizer_worker_songs counter\n");
        for (ended, count) in songs {
            let _ = writeln!(out, "vocalizer_worker_songs_total{{ended=\"{ended}\"}} {count}");
        }
        let busy_s = Duration::from_millis(counts.busy_ms()).as_secs_f64();
        out.push_str("# HELP vocalizer_worker_busy_seconds Time spent separating.\n");
        out.push_str("# TYPE vocalizer_worker_busy_seconds counter\n# UNIT vocalizer_worker_busy_seconds seconds\n");
        let _ = writeln!(out, "vocalizer_worker_busy_seconds_total {busy_s}");
    }
}

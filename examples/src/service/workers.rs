//! Workers in this process, and what they wait for.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, join_all, select};
use tokio::sync::{oneshot, watch};
use vocalizer_core::ports::{Backend, BoxError, Clock, JobQueue, Separator};
use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};
use vocalizer_http::server::{MoreMetrics, Readiness};

use super::stop::stopped;

/// What splits songs.
pub struct Loaded {
    /// It.
    pub separator: Arc<dyn Separator>,
    /// What it computes on.
    pub device: String,
    /// Ends when the device has failed at a song, with what it said.
    pub device_failure: Pin<Box<dyn Future<Output = String> + Send>>,
}

/// Gets what splits songs, which works in this folder. It may take minutes, and has a thread of its own for that.
pub type Load = Box<dyn FnOnce(PathBuf) -> Result<Loaded, BoxError> + Send>;

/// Workers that begin when their model is there.
pub(super) struct LocalWorkers {
    /// A model's name or a weights file.
    pub(super) model: String,
    /// Where it comes from.
    pub(super) load: Load,
    /// Where they work.
    pub(super) work: PathBuf,
    /// How many songs are split at once.
    pub(super) at_once: u16,
    /// How long a song in hand may go on when it is time to stop.
    pub(super) grace: Duration,
    /// Where jobs come from.
    pub(super) queue: Arc<dyn JobQueue>,
    /// Where results go.
    pub(super) backend: Arc<dyn Backend>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// What is known of them from outside.
    pub(super) state: Arc<WorkerState>,
}

/// What is known of workers from outside.
#[derive(Default)]
pub(super) struct WorkerState(OnceLock<Ready>);

struct Ready {
    model: String,
    device: String,
    worker: Worker,
}

impl LocalWorkers {
    /// Fetches the model, loads it, and splits songs until it is time to stop.
    ///
    /// # Errors
    ///
    /// When the model cannot be had or loaded, and when its device fails at a song. That song is tried again, here or
    /// elsewhere, but no other is taken: a device that is lost would fail at them all.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) -> Result<(), BoxError> {
        let (load, work) = (self.load, self.work);
        let (sender, loaded) = oneshot::channel();
        // A thread of its own: fetching may take minutes, and nobody waits for it when the service stops.
        std::thread::Builder::new().name("model".to_owned()).spawn(move || sender.send(load(work)))?;
        let Loaded { separator, device, device_failure } = tokio::select! {
            loaded = loaded => loaded??,
            () = stopped(stop.clone()) => return Ok(()),
        };
        tracing::info!(model = self.model, device, "the model is loaded; songs are split");
        let ports = WorkerPorts { queue: self.queue, backend: self.backend, separator, clock: self.clock };
        let worker = Worker::new(ports, WorkerSettings { grace: self.grace, ..WorkerSettings::default() });
        let _ = self.state.0.set(Ready { model: self.model, device, worker: worker.clone() });
        let (failed, has_failed) = watch::channel(false);
        let watching = async move {
            let why = device_failure.await;
            let _ = failed.send(true);
            why
        };
        let end = || {
            let (stop, failed) = (stop.clone(), has_failed.clone());
            async move {
                select(pin!(stopped(stop)), pin!(stopped(failed))).await;
            }
        };
        let working = join_all((0..self.at_once.max(1)).map(|_| worker.run(end())));
        // Both are gone on with: the workers put the song in hand back before they end.
        match select(pin!(watching), pin!(working)).await {
            Either::Right(_) => Ok(()),
            Either::Left((why, working)) => {
                working.await;
                Err(format!("{why}; the song in hand is tried again, and no other is taken").into())
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
            Some(ready) if ready.worker.is_pausing() => {
                Err("it pauses, since it cannot work at the moment; its log says why".to_owned())
            }
            Some(_) => Ok(()),
            None => Err("the model is not loaded yet; uploads are taken and wait".to_owned()),
        }
    }
}

impl MoreMetrics for WorkerState {
    fn write(&self, out: &mut String) {
        let Some(Ready { model, device, worker }) = self.0.get() else { return };
        let counts = worker.counts();
        out.push_str("# HELP vocalizer_worker What splits songs here.\n# TYPE vocalizer_worker info\n");
        let model = model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
        let _ = writeln!(out, "vocalizer_worker_info{{device=\"{device}\",model=\"{model}\"}} 1");
        let songs = [("done", counts.done()), ("failed", counts.failed()), ("retried", counts.retried())];
        out.push_str("# HELP vocalizer_worker_songs Songs by how work on them ended.\n");
        out.push_str("# TYPE vocalizer_worker_songs counter\n");
        for (ended, count) in songs {
            let _ = writeln!(out, "vocalizer_worker_songs_total{{ended=\"{ended}\"}} {count}");
        }
        // Audio over busy is the real-time factor: how many times faster than playing.
        seconds(out, "busy", "Time spent separating", counts.busy_ms());
        seconds(out, "audio", "Audio separated", counts.audio_ms());
    }
}

fn seconds(out: &mut String, name: &str, help: &str, ms: u64) {
    let name = format!("vocalizer_worker_{name}_seconds");
    let _ = writeln!(out, "# HELP {name} {help}.\n# TYPE {name} counter\n# UNIT {name} seconds");
    let _ = writeln!(out, "{name}_total {}", Duration::from_millis(ms).as_secs_f64());
}

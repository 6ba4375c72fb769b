//! `worker`: splits songs for a server elsewhere.

use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use url::Url;
use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
use vocalizer_core::causes::chain;
use vocalizer_core::limits::Limits;
use vocalizer_core::models::{Capabilities, ModelName};
use vocalizer_core::ports::{BoxError, Clock, JobQueue};
use vocalizer_core::secret::Secret;
use vocalizer_http::server::Readiness;
use vocalizer_http::status::StatusServer;
use vocalizer_model::ports::sweep_work_dir;
use vocalizer_store::archive::TarResults;
use vocalizer_store::system::{SystemClock, create_private_folder};

use super::addresses::Broker;
use super::args::WorkerArgs;
use super::config;
use super::error::{ConfigError, invalid};
use super::stop::stop_token;
use super::traces::Traces;
use super::workers::{Load, LocalWorkers, WorkerState};
use super::{adapters, logging};
use crate::exit::{failed, misused};
use crate::output::outln;

/// The validated configuration of a worker.
struct WorkerConfig {
    backend: Url,
    ca: Option<Vec<u8>>,
    token: Option<Secret<String>>,
    broker: Option<Broker>,
    models: Option<Vec<ModelName>>,
}

impl WorkerConfig {
    fn check(args: &WorkerArgs) -> Result<Self, ConfigError> {
        const BACKEND: &str = "--backend-addr (BACKEND_ADDR)";
        let backend = args.backend_addr.parse::<Url>().ok();
        let backend = backend.filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
        let backend = backend.ok_or_else(|| invalid(BACKEND, "give http://HOST:PORT or https://HOST"))?;
        if !backend.username().is_empty() || backend.password().is_some() {
            return Err(invalid(BACKEND, "the URL must not contain a username or password; use WORKER_TOKEN instead"));
        }
        if let Err(error) = args.listen_addr.to_socket_addrs() {
            return Err(invalid("--listen-addr (LISTEN_ADDR)", format!("{error}; give HOST:PORT")));
        }
        let ca = match &args.backend_ca_file {
            None => None,
            Some(file) => Some(std::fs::read(file).map_err(|e| {
                invalid("--backend-ca-file (BACKEND_CA_FILE)", format!("cannot read {}: {e}", file.display()))
            })?),
        };
        // A server accepts several tokens, to allow rotation; a worker uses the first.
        let tokens = config::tokens(args.worker_token.as_deref(), args.worker_token_file.as_deref())?;
        let token = tokens.and_then(|tokens| tokens.into_iter().next());
        let broker = config::broker(&args.broker)?;
        if token.is_none() && broker.is_none() {
            let what = "a worker without a broker needs the server's token, which is in the file worker-token in the server's data folder: \
                        set WORKER_TOKEN_FILE, or BROKER_ADDR";
            return Err(invalid("--worker-token (WORKER_TOKEN, WORKER_TOKEN_FILE)", what));
        }
        let models = config::worker_models(&args.compute.choice)?;
        Ok(Self { backend, ca, token, broker, models })
    }

    fn print(&self, args: &WorkerArgs) {
        outln!("BACKEND_ADDR={}", self.backend);
        match &self.broker {
            None => outln!("BROKER_ADDR=(none: jobs come from the server over HTTP)"),
            Some(broker) => outln!("BROKER_ADDR={broker}"),
        }
        outln!("WORKER_TOKEN={}", if self.token.is_some() { "(hidden)" } else { "(none)" });
        outln!("MODEL={}", args.compute.model);
        if let Some(models) = &self.models {
            outln!("MODELS={}", models.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
            outln!("MODELS_IN_MEMORY={}", args.compute.choice.models_in_memory);
        }
        outln!("ACCEPT_LICENCE={}", args.compute.accept_licence);
        outln!("THREADS={}", args.compute.threads.map_or("(one per core)".to_owned(), |threads| threads.to_string()));
        #[cfg(feature = "separate")]
        {
            outln!("DEVICE={}", args.compute.device);
            outln!("PRECISION={}", args.compute.precision);
            let batch = args.compute.batch.map_or("(as memory allows)".to_owned(), |batch| batch.to_string());
            outln!("BATCH={batch}");
            outln!("STEMS={}", args.compute.stems);
            outln!("STEM_BITS={}", args.compute.stem_bits);
        }
        outln!("CONCURRENCY={}", args.concurrency);
        outln!("LISTEN_ADDR={}", args.listen_addr);
        match &args.work_dir {
            Some(work) => outln!("WORK_DIR={}", work.display()),
            None => outln!("WORK_DIR=(a new folder in {})", std::env::temp_dir().display()),
        }
        outln!("SHUTDOWN_GRACE_S={}", args.shutdown_grace_s);
    }
}

/// Runs a worker.
#[cfg(feature = "separate")]
pub(crate) fn worker(args: &WorkerArgs) -> ExitCode {
    if let Err(error) = super::model::check(&args.compute) {
        return misused(&error);
    }
    match super::model::load(&args.compute) {
        Ok(load) => worker_with(args, load),
        Err(error) => misused(&error),
    }
}

/// Runs a worker with the separator from `load`.
#[must_use]
pub fn worker_with(args: &WorkerArgs, load: Load) -> ExitCode {
    let config = match WorkerConfig::check(args) {
        Ok(config) => config,
        Err(error) => return misused(&error),
    };
    if args.check_config {
        config.print(args);
        return ExitCode::SUCCESS;
    }
    let traces = match Traces::from_env("vocalizer-worker") {
        Ok(traces) => traces,
        Err(error) => return misused(&error),
    };
    logging::start_with(args.log_format, Some(&traces));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let ended = runtime.block_on(run(args, config, load));
    // A cancelled separation ends after its current segment; do not wait for it.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

async fn run(args: &WorkerArgs, config: WorkerConfig, load: Load) -> Result<(), BoxError> {
    let WorkerConfig { backend, ca, token, broker, models } = config;
    let mut settings = match token {
        Some(token) => RemoteSettings::new(backend.as_str(), token),
        None => RemoteSettings::without_token(backend.as_str()),
    };
    if let Some(ca) = ca {
        settings = settings.with_root_certificate_pem(ca);
    }
    let archive = Arc::new(TarResults::new(Limits::default()));
    let remote = RemoteBackend::new(&settings, archive)?;
    let queue: Arc<dyn JobQueue> = match &broker {
        Some(broker) => adapters::broker_queue(broker, models.as_deref().unwrap_or_default())?,
        None => Arc::new(RemoteQueue::new(&settings)?),
    };
    let listener = TcpListener::bind(&args.listen_addr).await;
    let listener = listener.map_err(|e| format!("cannot listen on {}: {e}", args.listen_addr))?;
    let work = WorkDir::open(args.work_dir.as_deref())?;
    sweep_work_dir(work.path())?;
    outln!("worker for {backend}; /livez, /readyz and /metrics on http://{}", listener.local_addr()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let state = Arc::<WorkerState>::default();
    let readiness: Vec<Arc<dyn Readiness>> = match &broker {
        Some(_) => vec![state.clone(), Arc::new(BrokerReadiness(Arc::clone(&queue)))],
        None => vec![state.clone()],
    };
    let status = StatusServer::new(readiness, vec![state.clone()]);
    let workers = LocalWorkers {
        model: args.compute.model.clone(),
        load,
        work: work.path().to_owned(),
        at_once: args.concurrency,
        grace: Duration::from_secs(args.shutdown_grace_s),
        queue,
        capabilities: models.map_or_else(Capabilities::default, Capabilities::of),
        backend: Arc::new(remote),
        clock,
        state,
    };
    let stop = stop_token()?;
    let serving = tokio::spawn(status.run(listener, stop.clone().cancelled_owned()));
    let ended = workers.run(stop).await;
    serving.abort();
    ended
}

/// The folder for songs being split.
enum WorkDir {
    /// A configured folder, which is kept.
    Named(PathBuf),
    /// A new private folder with an unpredictable name, removed when dropped.
    Private(TempDir),
}

impl WorkDir {
    fn open(named: Option<&Path>) -> Result<Self, BoxError> {
        match named {
            Some(dir) => {
                create_private_folder(dir)?;
                Ok(Self::Named(dir.to_owned()))
            }
            None => {
                let mut builder = tempfile::Builder::new();
                builder.prefix("vocalizer-worker-").rand_bytes(16);
                #[cfg(unix)]
                builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
                let made = builder.tempdir();
                Ok(Self::Private(made.map_err(|e| format!("cannot create a work folder: {e}; set WORK_DIR"))?))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(dir) => dir,
            Self::Private(dir) => dir.path(),
        }
    }
}

/// Whether the broker responds.
struct BrokerReadiness(Arc<dyn JobQueue>);

#[async_trait]
impl Readiness for BrokerReadiness {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.depth().await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(error = chain(&error), "reading the queue depth failed");
                Err("does not answer".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn default_work_folder_is_private_and_removed_at_exit() {
        use std::os::unix::fs::PermissionsExt as _;

        let (one, other) = (WorkDir::open(None).unwrap(), WorkDir::open(None).unwrap());
        assert_ne!(one.path(), other.path());
        let name = one.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.len() >= "vocalizer-worker-".len() + 16, "{name}");
        assert_eq!(one.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists());
        // A configured folder is kept.
        let named = other.path().join("named");
        drop(WorkDir::open(Some(&named)).unwrap());
        assert_eq!(named.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}

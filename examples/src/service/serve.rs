//! `serve`: the server, its queue and a worker in one process.

use std::process::ExitCode;
#[cfg(feature = "separate")]
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
#[cfg(feature = "separate")]
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::BoxError;
use vocalizer_http::settings::{AllowedHosts, Caps};

use super::args::ServeArgs;
use super::compose::{Parts, compose};
use super::config::Config;
use super::data::DataDir;
use super::logging;
use super::stop::stop_token;
use super::traces::Traces;
#[cfg(feature = "separate")]
use super::workers::{Load, LocalWorkers, WorkerState};
use crate::exit::{failed, misused};
use crate::output::{outln, print};

/// Runs the service.
pub(crate) fn serve(args: &ServeArgs) -> ExitCode {
    #[cfg(feature = "separate")]
    if !args.no_worker
        && let Err(error) = super::model::check(&args.compute)
    {
        return misused(&error);
    }
    if args.advanced.check_config {
        return check_config(args);
    }
    let mut config = match Config::check(args) {
        Ok(config) => config,
        Err(error) => return misused(&error),
    };
    let traces = match Traces::from_env("vocalizer") {
        Ok(traces) => traces,
        Err(error) => return misused(&error),
    };
    config.traces = traces.sampling;
    logging::start_with(args.advanced.log_format, Some(&traces));
    limit_by_files(&mut config);
    warn_about_hosts(args, &config);
    #[cfg(feature = "separate")]
    let capabilities = match super::config::worker_models(&args.compute.choice) {
        Ok(models) => models.map_or_else(Capabilities::default, Capabilities::of),
        Err(error) => return misused(&error),
    };
    #[cfg(feature = "separate")]
    let model = match super::model::load(&args.compute) {
        _ if args.no_worker => None,
        Ok(load) => Some((args.compute.model.clone(), load)),
        Err(error) => return misused(&error),
    };
    #[cfg(not(feature = "separate"))]
    if !args.no_worker {
        tracing::warn!("this build has no worker; run `vocalizer worker` from a build with `--features separate`");
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let ended = runtime.block_on(async {
        let data = DataDir::open(&config)?;
        let serving = Serving::start(&config, &data).await?;
        #[cfg(feature = "separate")]
        let ended = match model {
            None => serving.without_worker().await,
            Some((model, load)) => serving.with_worker(model, load, data.work.clone(), capabilities).await,
        };
        #[cfg(not(feature = "separate"))]
        let ended = serving.without_worker().await;
        drop(data);
        ended
    });
    // A cancelled separation ends after its current segment; do not wait for it.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

/// Validates the configuration and prints it.
pub(super) fn check_config(args: &ServeArgs) -> ExitCode {
    match Config::check(args) {
        Ok(config) => {
            print(&config.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => misused(&error),
    }
}

/// An assembled service, ready to serve.
struct Serving {
    parts: Parts,
    listener: TcpListener,
    stop: CancellationToken,
    config: Config,
}

impl Serving {
    async fn start(config: &Config, data: &DataDir) -> Result<Self, BoxError> {
        let parts = compose(config, data).await?;
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|e| format!("cannot listen on {}: {e}", config.listen))?;
        outln!("Vocalizer listens on http://{}", listener.local_addr()?);
        outln!("data folder: {}", config.data.display());
        Ok(Self { parts, listener, stop: stop_token()?, config: config.clone() })
    }

    async fn without_worker(self) -> Result<(), BoxError> {
        let Self { parts, listener, stop, config } = self;
        let server = parts.server.with_sweep_interval(config.sweep_interval);
        Ok(server.run(listener, stop.cancelled_owned()).await?)
    }

    /// Runs the server and a worker until shutdown. If one fails, the other ends too, within its grace period: a server whose
    /// worker cannot start or whose device fails is useless.
    #[cfg(feature = "separate")]
    async fn with_worker(
        self,
        model: String,
        load: Load,
        work: std::path::PathBuf,
        capabilities: Capabilities,
    ) -> Result<(), BoxError> {
        let Self { parts, listener, stop, config } = self;
        let state = Arc::<WorkerState>::default();
        let server = parts.server.with_sweep_interval(config.sweep_interval);
        let server = server.with_readiness(state.clone()).with_metrics(state.clone());
        let songs = parts.songs.clone();
        let worker = LocalWorkers {
            model,
            load,
            work,
            at_once: 1,
            grace: config.shutdown_grace,
            queue: parts.queue,
            capabilities: capabilities.clone(),
            backend: Arc::new(parts.songs),
            clock: parts.clock,
            state,
        };
        let end = stop.child_token();
        let working = async {
            tokio::select! {
                worked = worker.run(end.clone()) => worked.inspect_err(|_| end.cancel()),
                () = songs.advertise(&capabilities) => Ok(()),
            }
        };
        let serving = async { server.run(listener, end.clone().cancelled_owned()).await.inspect_err(|_| end.cancel()) };
        let (worked, served) = tokio::join!(working, serving);
        worked?;
        Ok(served?)
    }
}

/// Raises the open file limit to its maximum and lowers the caps to fit.
fn limit_by_files(config: &mut Config) {
    let Ok(files) = rlimit::increase_nofile_limit(u64::MAX) else { return };
    let (before, most) = (config.caps, config.renderings.most);
    (config.caps, config.renderings.most) = caps_for(before, most, usize::try_from(files).unwrap_or(usize::MAX));
    if config.caps != before {
        tracing::warn!(files, caps = ?config.caps, renderings = config.renderings.most, "open file limit too low for the configured caps; caps lowered");
    }
}

/// Returns the caps and the rendering limit that fit an open file limit. Some files are reserved for the database and the log; a
/// download uses a connection and a file, an archive four files, a rendering five. Event streams get at most half of the
/// connections, and one address at most half of either.
fn caps_for(caps: Caps, renderings: usize, files: usize) -> (Caps, usize) {
    const OTHER_FILES: usize = 64;
    let connections = caps.connections.min((files.saturating_sub(OTHER_FILES) / 2).max(8));
    let lowered = connections < caps.connections;
    let most = |cap: usize, part: usize| if lowered { cap.min((connections / part).max(1)) } else { cap };
    let event_streams = caps.event_streams.min((connections / 2).max(1));
    let caps = Caps {
        connections,
        connections_per_address: most(caps.connections_per_address, 2),
        archives: most(caps.archives, 8),
        archives_per_client: most(caps.archives_per_client, 16),
        event_streams,
        event_streams_per_client: caps.event_streams_per_client.min((event_streams / 2).max(1)),
    };
    (caps, most(renderings, 16))
}

/// Warns if host names are not checked.
fn warn_about_hosts(args: &ServeArgs, config: &Config) {
    if args.network.allowed_hosts.is_empty() && config.allowed_hosts == AllowedHosts::Any {
        tracing::warn!("any host name is accepted; set ALLOWED_HOSTS to the server's names to prevent DNS rebinding");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_file_limit_lowers_caps() {
        let (caps, renderings) = caps_for(Caps::default(), 64, 256);
        assert_eq!((caps.connections, caps.event_streams), (96, 48));
        // Connections, a file for each that is not an event stream, archives and renderings fit together.
        let files = caps.connections + (caps.connections - caps.event_streams) + caps.archives * 4 + renderings * 5;
        assert!(files <= 256 - 20, "{files}");
        assert!(caps.connections_per_address <= 48 && caps.event_streams_per_client <= 24);
        assert_eq!(caps_for(Caps::default(), 64, 1 << 20), (Caps::default(), 64));
        let (least, renderings) = caps_for(Caps::default(), 64, 16);
        assert!(least.connections >= 8 && least.event_streams_per_client >= 1 && renderings >= 1);
    }
}

//! Runs `server` and `standalone`.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::BoxError;
use vocalizer_http::settings::{AllowedHosts, Caps};

use super::background::{Outbox, run_background_tasks};
use super::backup::{backup, restore};
use super::data::DataDir;
use super::invite::invite;
use super::stop::{stop_signal, stopped};
use super::{Config, Parts, ServerCommand, ServiceArgs, adapters, addresses, compose, config, logging};

/// Runs the server or one of its commands.
#[must_use]
pub fn server(args: &ServiceArgs, command: Option<&ServerCommand>) -> ExitCode {
    match command {
        Some(ServerCommand::MigrateData { from }) => return migrate_data(args, from),
        Some(ServerCommand::Backup { dir }) => return backup(&args.kept, dir),
        Some(ServerCommand::Restore { dir }) => return restore(&args.kept, dir),
        Some(ServerCommand::Invite(of)) => return invite(&args.kept, *of),
        None => {}
    }
    run("server", args, |serving| async move {
        let Serving { parts, listener, stop, config, .. } = serving;
        let outbox = Arc::<Outbox>::default();
        let (accounts, every) = (parts.accounts, config.sweep_interval);
        let tending =
            tokio::spawn(run_background_tasks(parts.songs, accounts, Arc::clone(&outbox), every, stop.clone()));
        parts.server.with_readiness(outbox).run(listener, stopped(stop)).await;
        tending.await?;
        Ok(())
    })
}

/// Runs server, queue and worker in one process.
#[cfg(feature = "separate")]
#[must_use]
pub fn standalone(args: &super::StandaloneArgs) -> ExitCode {
    let (model, load) = (args.model.clone(), super::model::load(&args.model, args.compute.options(), args.threads));
    run("standalone", &args.service, |serving| async move {
        let Serving { parts, listener, stop, config, work } = serving;
        let outbox = Arc::<Outbox>::default();
        let (accounts, every) = (parts.accounts, config.sweep_interval);
        let tending =
            tokio::spawn(run_background_tasks(parts.songs.clone(), accounts, Arc::clone(&outbox), every, stop.clone()));
        let readiness = Arc::<super::workers::WorkerState>::default();
        let worker = super::workers::LocalWorkers {
            model,
            load,
            work,
            at_once: 1,
            grace: config.shutdown_grace,
            queue: parts.queue,
            backend: Arc::new(parts.songs),
            clock: parts.clock,
            state: readiness.clone(),
        };
        let server = parts.server.with_readiness(outbox).with_readiness(readiness.clone()).with_metrics(readiness);
        // If the worker cannot start or its device fails, stop the service: a server that cannot split songs is useless here.
        // Downloads get the grace period.
        let (failed, has_failed) = watch::channel(false);
        let working = async {
            let ended = worker.run(stop.clone()).await;
            let _ = failed.send(ended.is_err());
            ended
        };
        let end = async {
            tokio::select! {
                () = stopped(stop.clone()) => {}
                () = stopped(has_failed) => {}
            }
        };
        let (ended, ()) = tokio::join!(working, server.run(listener, end));
        if ended.is_ok() {
            tending.await?;
        }
        ended
    })
}

/// An assembled service, ready to serve.
struct Serving {
    parts: Parts,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
    config: Config,
    #[cfg_attr(not(feature = "separate"), expect(dead_code, reason = "used by the worker"))]
    work: std::path::PathBuf,
}

fn run<F, S>(name: &str, args: &ServiceArgs, serve: S) -> ExitCode
where
    F: Future<Output = Result<(), BoxError>>,
    S: FnOnce(Serving) -> F,
{
    let mut config = match Config::check(args) {
        Ok(config) => config,
        Err(error) => {
            failed(name, &error);
            return ExitCode::from(2);
        }
    };
    if args.check_config {
        print!("{config}");
        return ExitCode::SUCCESS;
    }
    logging::start(args.log_format);
    limit_by_files(&mut config);
    warn_about_hosts(args, &config);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(name, &error),
    };
    let ended = runtime.block_on(async {
        let data = DataDir::open(&config)?;
        if args.migrate {
            for migration in adapters::migrate(&config.database).await? {
                println!("applied {migration}");
            }
            println!("{} is up to date", config.database);
            return Ok(());
        }
        let parts = compose(&config, &data).await?;
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|e| format!("cannot listen on {}: {e}", config.listen))?;
        let address = listener.local_addr()?;
        println!("Vocalizer listens on http://{address}");
        println!("data folder: {}", config.data.display());
        let work = data.work.clone();
        serve(Serving { parts, listener, stop: stop_signal()?, config: config.clone(), work }).await?;
        drop(data);
        Ok::<_, BoxError>(())
    });
    // A cancelled separation ends after its current segment; do not wait for it.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(name, error.as_ref()),
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
fn warn_about_hosts(args: &ServiceArgs, config: &Config) {
    if args.allowed_hosts.is_empty() && config.allowed_hosts == AllowedHosts::Any {
        tracing::warn!("any host name is accepted; set ALLOWED_HOSTS to the server's names to prevent DNS rebinding");
    }
}

/// Copies data from SQLite to PostgreSQL.
fn migrate_data(args: &ServiceArgs, from: &str) -> ExitCode {
    const NAME: &str = "server migrate-data";
    let database = match config::database(&args.kept) {
        Ok(Some(database)) => database,
        Ok(None) => {
            eprintln!("{NAME}: no target database; set DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME");
            return ExitCode::from(2);
        }
        Err(error) => {
            failed(NAME, &error);
            return ExitCode::from(2);
        }
    };
    let Some(from) = addresses::path_of(from, "sqlite") else {
        eprintln!("{NAME}: --from: expected sqlite:PATH");
        return ExitCode::from(2);
    };
    logging::start(args.log_format);
    let moved = Runtime::new()
        .map_err(BoxError::from)
        .and_then(|runtime| runtime.block_on(adapters::migrate_data(&from, &database)));
    match moved {
        Ok(copied) => {
            println!("{copied} copied from {} to {database}", from.display());
            ExitCode::SUCCESS
        }
        Err(error) => failed(NAME, error.as_ref()),
    }
}

pub(super) fn failed(name: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{name}: {}", chain(error));
    ExitCode::FAILURE
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

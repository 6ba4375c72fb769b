//! From arguments to an exit code.

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

use super::backup::{backup, restore};
use super::data::DataDir;
use super::invite::invite;
use super::stop::{stop_signal, stopped};
use super::tend::{Outbox, tend};
use super::{Config, Parts, ServerCommand, ServiceArgs, adapters, compose, config, logging, places};

/// Runs the server by itself, or does what is asked for instead.
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
        let tending = tokio::spawn(tend(parts.songs, accounts, Arc::clone(&outbox), every, stop.clone()));
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
        let tending = tokio::spawn(tend(parts.songs.clone(), accounts, Arc::clone(&outbox), every, stop.clone()));
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
        // A worker that cannot begin, or whose device fails, ends the service: a server that splits nothing is no use to
        // anybody. Who is downloading has the grace for it.
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

/// A service that is ready to serve.
struct Serving {
    parts: Parts,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
    config: Config,
    #[cfg_attr(not(feature = "separate"), expect(dead_code, reason = "the worker's"))]
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
    warn_of_hosts(args, &config);
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
        println!("what it keeps is in {}", config.data.display());
        let work = data.work.clone();
        serve(Serving { parts, listener, stop: stop_signal()?, config: config.clone(), work }).await?;
        drop(data);
        Ok::<_, BoxError>(())
    });
    // A separation that was given up ends after its segment; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(name, error.as_ref()),
    }
}

/// Asks for as many open files as there may be, and lowers the caps to what those are enough for.
fn limit_by_files(config: &mut Config) {
    let Ok(files) = rlimit::increase_nofile_limit(u64::MAX) else { return };
    let (before, most) = (config.caps, config.renderings.most);
    (config.caps, config.renderings.most) = caps_for(before, most, usize::try_from(files).unwrap_or(usize::MAX));
    if config.caps != before {
        tracing::warn!(files, caps = ?config.caps, renderings = config.renderings.most, "the limit of open files is too low for the configured caps, which are lowered");
    }
}

/// The caps, and the renderings, under a limit of open files. Some files are for the database and the log; a download has a connection and a
/// file, an archive four files, a rendering five. Half of the connections are not for event streams, and no address has
/// more than half of either.
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

/// Names are not checked unless somebody says which are right.
fn warn_of_hosts(args: &ServiceArgs, config: &Config) {
    if args.allowed_hosts.is_empty() && config.allowed_hosts == AllowedHosts::Any {
        tracing::warn!(
            "the server answers to every host name; set ALLOWED_HOSTS to its own names, so that no other site can have its \
             name lead here (DNS rebinding)"
        );
    }
}

/// Moves what is kept in SQLite into PostgreSQL.
fn migrate_data(args: &ServiceArgs, from: &str) -> ExitCode {
    const NAME: &str = "server migrate-data";
    let database = match config::database(&args.kept) {
        Ok(Some(database)) => database,
        Ok(None) => {
            eprintln!("{NAME}: say where to: DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME");
            return ExitCode::from(2);
        }
        Err(error) => {
            failed(NAME, &error);
            return ExitCode::from(2);
        }
    };
    let Some(from) = places::path_of(from, "sqlite") else {
        eprintln!("{NAME}: --from: give sqlite:PATH");
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
    fn few_files_leave_room_beside_event_streams() {
        let (caps, renderings) = caps_for(Caps::default(), 64, 256);
        assert_eq!((caps.connections, caps.event_streams), (96, 48));
        // All that may be open at once fits: connections, a file for each that is no event stream, archives, renderings.
        let files = caps.connections + (caps.connections - caps.event_streams) + caps.archives * 4 + renderings * 5;
        assert!(files <= 256 - 20, "{files}");
        assert!(caps.connections_per_address <= 48 && caps.event_streams_per_client <= 24);
        assert_eq!(caps_for(Caps::default(), 64, 1 << 20), (Caps::default(), 64));
        let (least, renderings) = caps_for(Caps::default(), 64, 16);
        assert!(least.connections >= 8 && least.event_streams_per_client >= 1 && renderings >= 1);
    }
}

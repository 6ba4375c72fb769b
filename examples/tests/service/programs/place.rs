//! The test environment: a server, workers, and a broker or database between them.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::broker::Broker;
use crate::postgres::Postgres;
use crate::support::{Browser, WORKER_TOKEN, id};

/// Milliseconds that the fake model takes for a song, or [`LOST`]. Without it, the child test does nothing.
pub(super) const TAKES_MS: &str = "VOCALIZER_STAND_IN_MS";

/// The fake device fails on every song.
pub(super) const LOST: &str = "lost";

/// Timeout for expected events.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// A server with files in a folder, and songs in SQLite or in a PostgreSQL database. Dropping it stops everything.
pub(super) struct Place {
    server: Process,
    database: Option<Postgres>,
    pub(super) broker: Option<Broker>,
    pub(super) address: String,
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    /// Starts a server whose jobs go through this broker, or over HTTP without one.
    pub(super) async fn new(broker: Option<Broker>) -> Self {
        Self::with(broker, None, Vec::new()).await
    }

    /// Starts a server whose songs and jobs are in this database.
    pub(super) async fn on(database: Postgres) -> Self {
        Self::with(None, Some(database), Vec::new()).await
    }

    /// Starts a server with these variables, which its workers get too.
    #[cfg(feature = "otlp")]
    pub(super) async fn with_variables(broker: Option<Broker>, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::with(broker, None, variables).await
    }

    /// Stops the server as `systemctl stop` does, and returns its log and exit status.
    #[cfg(feature = "otlp")]
    pub(super) async fn stop(self) -> (String, ExitStatus) {
        let out = self.server.out.clone();
        let (status, _) = self.server.terminate().await;
        (std::fs::read_to_string(out).unwrap(), status)
    }

    async fn with(broker: Option<Broker>, database: Option<Postgres>, variables: Vec<(String, String)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = serve(&dir, broker.as_ref(), database.as_ref(), "127.0.0.1:0", &variables);
        let line = server.wait_for_log("listens on http://").await;
        let address = line.split("http://").nth(1).unwrap().to_owned();
        Self { server, database, broker, address, dir, variables }
    }

    /// Kills the server and starts another on the same address and data.
    pub(super) async fn replace_server(&mut self) {
        let _ = self.server.child.kill();
        let _ = self.server.child.wait();
        self.server = serve(&self.dir, self.broker.as_ref(), self.database.as_ref(), &self.address, &self.variables);
        self.server.wait_for_log("listens on http://").await;
    }

    pub(super) fn browser(&self) -> Browser {
        Browser::at(format!("http://{}", self.address))
    }

    /// Starts a worker that takes `takes` for a song and has `grace` to shut down.
    pub(super) fn worker(&self, name: &str, takes: Duration, grace: Duration) -> Process {
        self.start(name, &takes.as_millis().to_string(), grace)
    }

    /// Starts a worker whose device fails on every song.
    pub(super) fn lost_worker(&self, name: &str) -> Process {
        self.start(name, LOST, Duration::from_secs(5))
    }

    /// Starts a worker with a wrong token.
    pub(super) fn worker_with_wrong_token(&self, name: &str) -> Process {
        let mut command = self.command(name, "0", Duration::ZERO);
        command.env("WORKER_TOKEN", "a-token-of-no-server");
        Process::start(command, self.broker.as_ref(), self.dir.path().join(name))
    }

    fn start(&self, name: &str, takes: &str, grace: Duration) -> Process {
        let mut command = self.command(name, takes, grace);
        command.env("WORKER_TOKEN", WORKER_TOKEN);
        Process::start(command, self.broker.as_ref(), self.dir.path().join(name))
    }

    fn command(&self, name: &str, takes: &str, grace: Duration) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .env_clear()
            .args(["--exact", "programs::child::child_worker_entry", "--nocapture"])
            .env(TAKES_MS, takes)
            .env("SHUTDOWN_GRACE_S", grace.as_secs().to_string())
            .env("BACKEND_ADDR", format!("http://{}", self.address))
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("WORK_DIR", self.dir.path().join(format!("{name}.work")))
            .envs(self.variables.iter().cloned());
        command
    }

    /// The server's log.
    pub(super) fn log(&self) -> String {
        self.server.log()
    }

    /// Waits for a line of the server's log that contains `what`.
    pub(super) async fn wait_for_log(&mut self, what: &str) -> String {
        self.server.wait_for_log(what).await
    }
}

fn serve(
    dir: &tempfile::TempDir,
    broker: Option<&Broker>,
    database: Option<&Postgres>,
    listen: &str,
    variables: &[(String, String)],
) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vocalizer"));
    command
        .env_clear()
        .args(["serve", "--no-worker", "--listen-addr", listen, "--data-dir"])
        .arg(dir.path().join("data"));
    command.env("WORKER_TOKEN", WORKER_TOKEN);
    command.envs(variables.iter().cloned());
    command.envs(database.map(|database| ("DATABASE_URL", &database.url)));
    Process::start(command, broker, dir.path().join("server"))
}

/// A running program. Dropping it kills the process.
pub(super) struct Process {
    child: Child,
    /// The file with its output.
    out: PathBuf,
}

impl Process {
    fn start(mut command: Command, broker: Option<&Broker>, out: PathBuf) -> Self {
        let file = File::create(&out).unwrap();
        command.env("RUST_LOG", "info");
        command.envs(broker.map(|broker| ("BROKER_ADDR", &broker.address)));
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, out }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }

    /// Waits for a line that contains `what` and returns it.
    pub(super) async fn wait_for_log(&mut self, what: &str) -> String {
        let began = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(what)) {
                return line.to_owned();
            }
            assert!(
                self.child.try_wait().unwrap().is_none() && began.elapsed() < TIMEOUT,
                "no log line with {what:?}: {log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends SIGTERM, as `systemctl stop` does. Returns exit status and duration.
    pub(super) async fn terminate(mut self) -> (ExitStatus, Duration) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let began = Instant::now();
        (self.wait_for_exit().await, began.elapsed())
    }

    /// Waits until it exits and returns the exit status.
    pub(super) async fn wait_for_exit(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < TIMEOUT, "the process does not exit: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a worker is splitting the song.
pub(super) async fn until_splitting(browser: &Browser, song: &Value) {
    let began = Instant::now();
    loop {
        let now = browser.get(&format!("/songs/{}", id(song))).await.data()["song"].clone();
        if now["status"] == "SPLITTING" && now["progress"].as_u64() >= Some(10) {
            return;
        }
        assert!(began.elapsed() < TIMEOUT, "no worker starts the song: {now}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

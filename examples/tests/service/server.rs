//! Runs `vocalizer serve --no-worker` on a data folder that outlives the process.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::{Browser, WORKER_TOKEN};

/// A running server. Dropping it kills the process with `SIGKILL`.
pub(crate) struct Server {
    child: Child,
    base: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::with(data, &[])
    }

    /// Starts a server with more arguments.
    pub(crate) fn with(data: &Path, args: &[&str]) -> Self {
        Self::launch("true", Stdio::piped(), data, args, &[])
    }

    /// Starts a server with environment variables.
    pub(crate) fn start_with(data: &Path, variables: &[(&str, &str)]) -> Self {
        Self::launch("true", Stdio::piped(), data, &[], variables)
    }

    /// Starts a server whose log goes to `log`.
    pub(crate) fn logging_to(log: Stdio, data: &Path, args: &[&str]) -> Self {
        Self::launch("true", log, data, args, &[])
    }

    /// Starts a server after running shell commands in the same process.
    pub(crate) fn after(before: &str, data: &Path) -> Self {
        Self::launch(before, Stdio::piped(), data, &[], &[])
    }

    fn launch(before: &str, log: Stdio, data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        // SIGXFSZ would end the server; with the trap, writes fail instead. `setpriv` makes file modes apply to root
        // too.
        let start = format!(
            r#"
            trap '' XFSZ
            {before}
            if [ "$(id -u)" = 0 ]; then set -- setpriv --bounding-set=-all "$@"; fi
            exec "$@"
        "#
        );
        let mut child = Command::new("sh")
            .args(["-c", &start, "sh", env!("CARGO_BIN_EXE_vocalizer"), "serve", "--no-worker"])
            .args(["--listen-addr", "127.0.0.1:0", "--worker-token", WORKER_TOKEN, "--data-dir"])
            .arg(data)
            .args(args)
            .env("RUST_LOG", "info")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let log = Arc::<Mutex<String>>::default();
        if let Some(stderr) = child.stderr.take() {
            let (lines, logged) = (BufReader::new(stderr).lines(), Arc::clone(&log));
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    logged.lock().unwrap().push_str(&(line + "\n"));
                }
            });
        }
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let base = printed.find_map(|line| Some(line.split_once("listens on ")?.1.to_owned()));
        // Reads up to the last line: the server needs a reader for it.
        printed.find(|line| line.starts_with("data folder:"));
        let base = base.unwrap_or_else(|| panic!("the server does not start: {}", log.lock().unwrap()));
        Self { child, base, log }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::at(self.base.clone())
    }

    /// Returns the ID of the process.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.base.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a log line that contains all parts and returns it. The log is written concurrently with responses.
    pub(crate) async fn wait_for_log(&self, parts: &[&str]) -> String {
        for _ in 0..1000 {
            let log = self.log.lock().unwrap().clone();
            if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no log line with {parts:?}: {}", self.log.lock().unwrap());
    }

    /// Sets the file size limit of the server process, or removes it.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_file_size(&self, bytes: Option<u64>) {
        let (_, hard) = rlimit::Resource::FSIZE.get().unwrap();
        let pid = self.child.id().try_into().unwrap();
        rlimit::prlimit(pid, rlimit::Resource::FSIZE, Some((bytes.unwrap_or(hard), hard)), None).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command of `admin` on a folder.
pub(crate) fn command(data: &Path, command: &str, dir: &Path) -> Output {
    admin(data, &[command.as_ref(), dir.as_os_str()])
}

/// Like [`command`], with a file size limit in blocks of 512 bytes.
#[cfg(unix)]
pub(crate) fn command_with_file_limit(blocks: u32, data: &Path, command: &str, dir: &Path) -> Output {
    let mut shell = Command::new("sh");
    // SIGXFSZ would end the command; with the trap, writes fail instead.
    shell.args([
        "-c",
        &format!(r#"trap '' XFSZ; ulimit -f {blocks}; exec "$0" "$@""#),
        env!("CARGO_BIN_EXE_vocalizer"),
    ]);
    shell.args(["admin", command, "--data-dir"]).arg(data).arg(dir).output().unwrap()
}

/// Runs a command of `admin` with its arguments.
pub(crate) fn admin(data: &Path, arguments: &[impl AsRef<OsStr>]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vocalizer"))
        .arg("admin")
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .output()
        .unwrap()
}

/// Runs SQL on a database from another process.
pub(crate) fn sql(database: &Path, sql: &str) {
    const PROGRAM: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                           c.execute(sys.argv[2]).fetchall(); c.commit(); c.close()";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(database).arg(sql).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

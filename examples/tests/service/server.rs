//! The program `server` as it is run, over a data folder that outlives it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::{Browser, WORKER_TOKEN};

/// A server that runs. It is killed, as by `SIGKILL`, with the value.
pub(crate) struct Server {
    child: Child,
    base: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::with(data, &[])
    }

    /// The same with more arguments.
    pub(crate) fn with(data: &Path, args: &[&str]) -> Self {
        Self::launch("true", Stdio::piped(), data, args, &[])
    }

    /// The same with variables.
    pub(crate) fn start_with(data: &Path, variables: &[(&str, &str)]) -> Self {
        Self::launch("true", Stdio::piped(), data, &[], variables)
    }

    /// The same with its log somewhere else.
    pub(crate) fn logging_to(log: Stdio, data: &Path, args: &[&str]) -> Self {
        Self::launch("true", log, data, args, &[])
    }

    /// One that the shell has done something before.
    pub(crate) fn after(before: &str, data: &Path) -> Self {
        Self::launch(before, Stdio::piped(), data, &[], &[])
    }

    fn launch(before: &str, log: Stdio, data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        // The signal of a limit on files would end it; the trap lets writes fail instead. Modes of files hold for it as for
        // everybody, also where it is started by root.
        let start = format!(
            r#"
            trap '' XFSZ
            {before}
            if [ "$(id -u)" = 0 ]; then set -- setpriv --bounding-set=-all "$@"; fi
            exec "$@"
        "#
        );
        let mut child = Command::new("sh")
            .args(["-c", &start, "sh", env!("CARGO_BIN_EXE_server"), "--listen", "127.0.0.1:0"])
            .args(["--worker-token", WORKER_TOKEN, "--data"])
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
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let base = said.find_map(|line| Some(line.split_once("listens on ")?.1.to_owned()));
        // The last line, for which there must be a reader.
        said.find(|line| line.starts_with("data folder:"));
        let base = base.unwrap_or_else(|| panic!("it does not start: {}", log.lock().unwrap()));
        Self { child, base, log }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::at(self.base.clone())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.base.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The first line of its log with all of this in it. The log is written beside the answers, so a test waits for it.
    pub(crate) async fn logs(&self, parts: &[&str]) -> String {
        for _ in 0..1000 {
            let log = self.log.lock().unwrap().clone();
            if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no line with {parts:?}: {}", self.log.lock().unwrap());
    }

    /// Lets its files grow up to so many bytes, or without a limit.
    #[cfg(target_os = "linux")]
    pub(crate) fn room(&self, bytes: Option<u64>) {
        let (_, most) = rlimit::Resource::FSIZE.get().unwrap();
        let pid = self.child.id().try_into().unwrap();
        rlimit::prlimit(pid, rlimit::Resource::FSIZE, Some((bytes.unwrap_or(most), most)), None).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command of `server` to its end.
pub(crate) fn command(data: &Path, command: &str, dir: &Path) -> Output {
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    server.arg("--data").arg(data).arg(command).arg(dir).output().unwrap()
}

/// The same where no file may become larger than so many blocks of 512 bytes.
#[cfg(unix)]
pub(crate) fn command_with_room(blocks: u32, data: &Path, command: &str, dir: &Path) -> Output {
    let mut shell = Command::new("sh");
    // The signal of the limit would end it; the trap lets writes fail instead.
    shell.args(["-c", &format!(r#"trap '' XFSZ; ulimit -f {blocks}; exec "$0" "$@""#), env!("CARGO_BIN_EXE_server")]);
    shell.arg("--data").arg(data).arg(command).arg(dir).output().unwrap()
}

/// The same with arguments of its own.
pub(crate) fn command_line(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_server")).arg("--data").arg(data).args(arguments).output().unwrap()
}

/// Has another program open a database, do something, and close it.
pub(crate) fn sql(database: &Path, sql: &str) {
    const PROGRAM: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                           c.execute(sys.argv[2]).fetchall(); c.commit(); c.close()";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(database).arg(sql).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

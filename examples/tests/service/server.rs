//! The program `server` as it is run, over a data folder that outlives it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use super::support::{Browser, WORKER_TOKEN};

/// A server that runs. It is killed, as by `SIGKILL`, with the value.
pub(crate) struct Server {
    child: Child,
    base: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::after("true", data)
    }

    /// One that the shell has done something before.
    pub(crate) fn after(before: &str, data: &Path) -> Self {
        // The signal of a limit on files would end it; the trap lets writes fail instead.
        let script = format!(r#"trap '' XFSZ; {before}; exec "$0" "$@""#);
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_server"), "--listen", "127.0.0.1:0"])
            .args(["--worker-token", WORKER_TOKEN, "--data"])
            .arg(data)
            .env("RUST_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (lines, logged) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                logged.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let base = said.find_map(|line| Some(line.split_once("listens on ")?.1.to_owned()));
        // The last line, for which there must be a reader.
        said.find(|line| line.starts_with("what it keeps is in"));
        let base = base.unwrap_or_else(|| panic!("it does not start: {}", log.lock().unwrap()));
        Self { child, base, log }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::at(self.base.clone())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.base.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
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

/// Has another program open a database, do something, and close it.
pub(crate) fn sql(database: &Path, sql: &str) {
    const PROGRAM: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                           c.execute(sys.argv[2]).fetchall(); c.commit(); c.close()";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(database).arg(sql).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

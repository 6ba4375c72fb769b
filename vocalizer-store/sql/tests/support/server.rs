//! PostgreSQL servers for the tests of stores and queues.

#![allow(dead_code, reason = "each crate uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A PostgreSQL server that stops with the tests at the latest.
pub(super) struct Server {
    dir: PathBuf,
    url: String,
}

impl Server {
    /// Starts a server with these configuration lines.
    pub(super) fn start(settings: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("vocalizer-postgres-").tempdir().unwrap().keep();
        let started = script("start", &dir, settings);
        let output = String::from_utf8(started.stdout).unwrap();
        let url = output.trim().strip_prefix("VOCALIZER_TEST_POSTGRES=").expect("a URL").to_owned();
        Self { dir, url }
    }

    /// The URL, with a superuser.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The data folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the server's log.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap()
    }

    /// Kills the server.
    pub(super) fn kill(&self) {
        script("kill", &self.dir, &[]);
    }

    /// Restarts the server.
    pub(super) fn restart(&self) {
        script("restart", &self.dir, &[]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", &self.dir, &[]);
    }
}

/// The server shared by tests that do not disturb it: the one named by the environment, or a new one for all of them.
pub(super) fn shared() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| match std::env::var("VOCALIZER_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            let server = Server::start(&[]);
            let url = server.url.clone();
            // A static is never dropped; the watcher of the script stops the server.
            std::mem::forget(server);
            url
        }
    })
}

fn script(command: &str, dir: &Path, settings: &[&str]) -> Output {
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/postgres"))
        .arg(command)
        .arg(dir)
        .args(settings)
        .env("VOCALIZER_POSTGRES_PARENT", std::process::id().to_string())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

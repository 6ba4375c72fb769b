use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A PostgreSQL of these tests' own, which ends with them at the latest.
pub(super) struct Server {
    dir: PathBuf,
    url: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("vocalizer-postgres-").tempdir().unwrap().keep();
        let said = String::from_utf8(script("start", &dir).stdout).unwrap();
        let url = said.trim().strip_prefix("VOCALIZER_TEST_POSTGRES=").expect("where it is").to_owned();
        Self { dir, url }
    }

    /// Where it is, for one who may do everything.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it in the middle of whatever it does.
    pub(super) fn kill(&self) {
        script("kill", &self.dir);
    }

    /// Starts it again, when it is ended.
    pub(super) fn restart(&self) {
        script("restart", &self.dir);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", &self.dir);
    }
}

/// The server that tests share which do it no harm: the one that there is, or else one for all of them.
pub(super) fn shared() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| match std::env::var("VOCALIZER_TEST_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            let server = Server::start();
            let url = server.url.clone();
            // A static is never dropped: the script's watcher ends it.
            std::mem::forget(server);
            url
        }
    })
}

fn script(command: &str, dir: &Path) -> Output {
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/postgres"))
        .arg(command)
        .arg(dir)
        .env("VOCALIZER_POSTGRES_PARENT", std::process::id().to_string())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

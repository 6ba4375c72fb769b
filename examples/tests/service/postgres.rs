//! A PostgreSQL server for one test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Dropping it stops the server.
pub(crate) struct Postgres {
    dir: tempfile::TempDir,
    pub(crate) url: String,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The server runs as another user if the tests run as root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let started = script("start", dir.path());
        assert!(started.status.success(), "{started:?}");
        let output = String::from_utf8(started.stdout).unwrap();
        let url = output.trim().strip_prefix("VOCALIZER_TEST_POSTGRES=").unwrap().to_owned();
        Self { dir, url }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        script("stop", self.dir.path());
    }
}

fn script(command: &str, dir: &Path) -> Output {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/postgres"))
        .arg(command)
        .arg(dir.join("postgres"))
        .env("VOCALIZER_POSTGRES_PARENT", std::process::id().to_string())
        .output()
        .unwrap()
}

//! SQLite files for the tests of stores and queues.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rlimit::Resource;
use tempfile::TempDir;

/// A SQLite file in a temporary folder, which is removed with this value.
pub(crate) struct TestFile(TempDir);

impl TestFile {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("vocalizer.sqlite")
    }
}

/// Counts the rows of a table with another program, which opens and closes the file.
pub(crate) fn count_with_another_program(path: &Path, table: &str) -> String {
    const PROGRAM: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                           print(c.execute('SELECT count(*) FROM ' + sys.argv[2]).fetchone()[0]); c.close()";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(path).arg(table).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Simulates a full disk for this process: writes beyond this size of the log fail. `None` ends it.
pub(crate) fn set_log_limit(path: &Path, more_bytes: Option<u64>) {
    let log_bytes = std::fs::metadata(path.with_extension("sqlite-wal")).map_or(0, |found| found.len());
    let (_, max) = Resource::FSIZE.get().unwrap();
    Resource::FSIZE.set(more_bytes.map_or(max, |more| log_bytes + more), max).unwrap();
}

/// Runs a test in a process of its own, which survives a full disk, and returns its output.
pub(crate) fn run_test_with_limits(test: &str, variable: &str, value: &Path) -> String {
    // Without the trap, SIGXFSZ would end the process.
    let child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, value)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{output}");
    output
}

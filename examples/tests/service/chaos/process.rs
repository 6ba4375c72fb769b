//! A child process that a test starts, signals and kills.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::place::TIMEOUT;

/// A child process. Dropping it kills the process.
pub(super) struct Process(pub(super) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Sends a signal to the process.
    pub(super) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{sent:?}");
    }

    /// Waits until the process is suspended.
    pub(super) async fn wait_until_suspended(&self) {
        let began = Instant::now();
        let stat = format!("/proc/{}/stat", self.0.id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(began.elapsed() < TIMEOUT, "the process is not suspended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn died(&mut self) -> bool {
        let status = self.0.try_wait().unwrap();
        status.is_some_and(|status| {
            assert_eq!(status.signal(), Some(9), "{status:?}");
            true
        })
    }
}

//! A RabbitMQ broker for one test.

use std::path::Path;
use std::process::{Command, Stdio};

/// Dropping it stops the broker.
pub(super) struct Broker {
    dir: tempfile::TempDir,
    pub(super) address: String,
}

impl Broker {
    /// Starts a broker with these configuration lines.
    pub(super) fn start(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let output = script(dir.path(), "start", settings);
        let address = output.lines().find_map(|line| line.strip_prefix("VOCALIZER_TEST_AMQP=")).unwrap().to_owned();
        Self { dir, address }
    }

    /// Runs `rabbitmqctl` on the broker.
    pub(super) fn ctl(&self, arguments: &[&str]) {
        script(self.dir.path(), "ctl", arguments);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = command(self.dir.path(), "stop", &[]).status();
    }
}

fn command(dir: &Path, what: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/rabbitmq"));
    command.arg(what).arg(dir.join("rabbitmq")).args(arguments);
    command.env("VOCALIZER_RABBITMQ_PARENT", std::process::id().to_string());
    command
}

fn script(dir: &Path, what: &str, arguments: &[&str]) -> String {
    let output = command(dir, what, arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{what} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

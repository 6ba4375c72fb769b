use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A running broker.
pub(super) struct Broker {
    pub(super) address: String,
    folder: PathBuf,
    own: Option<TempDir>,
}

/// The broker shared by tests that do not disturb it: the one named by the environment, or one that stops with the
/// tests.
pub(super) fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(|| {
        let variable = |name| std::env::var(name).ok();
        match (variable("VOCALIZER_TEST_AMQP"), variable("VOCALIZER_TEST_RABBITMQ_DIR")) {
            (Some(address), Some(folder)) => Broker { address, folder: folder.into(), own: None },
            _ => Broker::start(&[]),
        }
    })
}

impl Broker {
    /// Starts a broker with these configuration lines, for a test that disturbs it.
    pub(super) fn start(configuration: &[&str]) -> Self {
        let own = TempDir::with_prefix("vocalizer-rabbitmq-").unwrap();
        let output = run("start", own.path(), configuration);
        let address = output.lines().find_map(|line| line.strip_prefix("VOCALIZER_TEST_AMQP=")).expect("an address");
        Self { address: address.to_owned(), folder: own.path().to_owned(), own: Some(own) }
    }

    /// Host and port.
    pub(super) fn at(&self) -> &str {
        self.address.rsplit('@').next().unwrap()
    }

    /// The address with another user and virtual host.
    pub(super) fn address_for(&self, user: &str, rest: &str) -> String {
        format!("amqp://{user}@{}{rest}", self.at())
    }

    /// Kills the broker, as a power failure would.
    pub(super) fn kill(&self) {
        run("kill", &self.folder, &[]);
    }

    pub(super) fn restart(&self) {
        run("restart", &self.folder, &[]);
    }

    pub(super) fn ctl(&self, arguments: &[&str]) -> String {
        run("ctl", &self.folder, arguments)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.own.is_some() {
            run("stop", &self.folder, &[]);
        }
    }
}

fn run(command: &str, folder: &Path, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/rabbitmq");
    let output = Command::new(script)
        .arg(command)
        .arg(folder)
        .args(arguments)
        .env("VOCALIZER_RABBITMQ_PARENT", std::process::id().to_string())
        .output()
        .expect(".ci/rabbitmq runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), ".ci/rabbitmq {command}: {stderr}{stdout}");
    stdout.into_owned()
}

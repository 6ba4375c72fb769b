//! The log.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;

/// Starts the log on standard error. A second start changes nothing.
pub(super) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        // What lapin has to say of a lost connection is said once more, in clearer words, by whoever uses it.
        .unwrap_or_else(|_| EnvFilter::new("info,lapin=off,sqlx=warn,symphonia=error,object_store=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Such an error would go to standard error, too, and not being able to write there is a panic.
    let log = log.log_internal_errors(false);
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

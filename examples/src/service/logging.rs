//! Logging.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;

/// Starts logging to standard error. Later calls do nothing.
pub(super) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        // Our own log lines cover lapin's connection errors.
        .unwrap_or_else(|_| EnvFilter::new("info,lapin=off,sqlx=warn,symphonia=error,object_store=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Reporting a failed write would write to standard error again and panic.
    let log = log.log_internal_errors(false);
    let _ = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}

//! Logging.

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use super::args::LogFormat;
use super::traces::Traces;

/// Starts logging to standard error. Later calls do nothing.
pub(super) fn start(format: LogFormat) {
    start_with(format, None);
}

/// Like [`start`], and exports traces.
pub(super) fn start_with(format: LogFormat, traces: Option<&Traces>) {
    let filter = EnvFilter::try_from_default_env()
        // Our own log lines cover lapin's connection errors.
        .unwrap_or_else(|_| EnvFilter::new("info,lapin=off,sqlx=warn,symphonia=error,object_store=warn"));
    let log = fmt::layer().with_writer(std::io::stderr).with_target(false);
    // Reporting a failed write would write to standard error again and panic.
    let log = log.log_internal_errors(false);
    let log = match format {
        LogFormat::Json => log.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
    };
    let _ = registry().with(log).with(traces.and_then(Traces::layer)).try_init();
}

//! State shared by all requests.

use std::sync::Arc;

use tokio::sync::watch;
use vocalizer_core::service::{AccountService, RemoteLeases, SongService};

use crate::caps::LongResponses;
use crate::metrics::Metrics;
use crate::page::Page;
use crate::probe::Probe;
use crate::pulse::Pulse;
use crate::settings::HttpSettings;

/// Additional metrics, in the Prometheus text format.
pub trait MoreMetrics: Send + Sync {
    /// Appends complete lines.
    fn write(&self, out: &mut String);
}

pub(crate) struct App {
    pub(crate) songs: SongService,
    pub(crate) accounts: AccountService,
    pub(crate) leases: Arc<RemoteLeases>,
    pub(crate) settings: HttpSettings,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) more_metrics: Vec<Arc<dyn MoreMetrics>>,
    pub(crate) page: Page,
    pub(crate) archives: LongResponses,
    pub(crate) event_streams: LongResponses,
    pub(crate) pulse: Arc<Pulse>,
    /// Becomes `true` on shutdown: endless streams then end.
    pub(crate) closing: watch::Receiver<bool>,
}

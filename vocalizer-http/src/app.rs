//! What every request is answered from.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use vocalizer_core::service::{AccountService, Desk, SongService};

use crate::caps::LongResponses;
use crate::metrics::Metrics;
use crate::page::Page;
use crate::probe::Probe;
use crate::pulse::Pulse;
use crate::settings::HttpSettings;

/// Something without which the service is not ready, beside what it asks by itself.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// What it is, in a word.
    fn name(&self) -> &'static str;

    /// Whether it is ready.
    ///
    /// # Errors
    ///
    /// Why it is not, in a sentence that may be public.
    async fn check(&self) -> Result<(), String>;
}

/// More of what is worth knowing from outside, written as a Prometheus exposition.
pub trait MoreMetrics: Send + Sync {
    /// Appends complete lines.
    fn write(&self, out: &mut String);
}

pub(crate) struct App {
    pub(crate) songs: SongService,
    pub(crate) accounts: AccountService,
    pub(crate) desk: Arc<Desk>,
    pub(crate) settings: HttpSettings,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) more_metrics: Vec<Arc<dyn MoreMetrics>>,
    pub(crate) page: Page,
    pub(crate) archives: LongResponses,
    pub(crate) event_streams: LongResponses,
    pub(crate) pulse: Arc<Pulse>,
    /// Turns `true` when the server is to stop: streams without an end are to end then.
    pub(crate) closing: watch::Receiver<bool>,
}

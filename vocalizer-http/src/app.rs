//! State shared by all requests.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use vocalizer_core::api::ErrorCode;
use vocalizer_core::service::{AccountService, AdminService, RemoteLeases, SongService};

use crate::caps::LongResponses;
use crate::metrics::Metrics;
use crate::page::Page;
use crate::probe::Probe;
use crate::pulse::Pulse;
use crate::settings::HttpSettings;

/// Decides by method and path whether a request fails, and with which code.
pub(crate) type Interceptor = Box<dyn Fn(&str, &str) -> Option<ErrorCode> + Send + Sync>;

pub(crate) struct App {
    pub(crate) songs: SongService,
    pub(crate) accounts: AccountService,
    /// What administrators do, before one is authorized; `None` if the server has no administration.
    pub(crate) administration: Option<AdminService>,
    /// Held while a report on the storage is made: it looks at every file.
    pub(crate) reporting: tokio::sync::Mutex<()>,
    pub(crate) leases: Arc<RemoteLeases>,
    pub(crate) settings: HttpSettings,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) page: Page,
    pub(crate) interceptor: Option<Interceptor>,
    pub(crate) openapi: Bytes,
    pub(crate) archives: LongResponses,
    pub(crate) event_streams: LongResponses,
    pub(crate) pulse: Arc<Pulse>,
    /// Is cancelled on shutdown: endless streams then end.
    pub(crate) closing: CancellationToken,
}

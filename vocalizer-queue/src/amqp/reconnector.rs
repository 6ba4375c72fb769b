//! A connection that is re-established when lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;
use vocalizer_core::api::backoff::Backoff;

use super::connect::{BrokerConnection, lock};
use super::error::AmqpError;
use super::settings::AmqpSettings;
use crate::finish::run_to_completion;

/// The backoff after failed attempts. Calls fail at once meanwhile, and callers have their own backoff.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// Connects on demand. Connection, queues and channels form a unit: if a part fails, the whole is replaced, and closes
/// once its current users are done.
pub(super) struct Reconnector {
    settings: Arc<AmqpSettings>,
    tls: OwnedTLSConfig,
    role: &'static str,
    slot: Mutex<Slot>,
    connecting: AsyncMutex<()>,
}

#[derive(Default)]
struct Slot {
    live: Option<Arc<BrokerConnection>>,
    failures: u32,
    /// The last failure, and until when calls return it without a new attempt.
    failure: Option<(AmqpError, Instant)>,
}

impl Reconnector {
    pub(super) fn new(settings: Arc<AmqpSettings>, tls: OwnedTLSConfig, role: &'static str) -> Arc<Self> {
        Arc::new(Self { settings, tls, role, slot: Mutex::default(), connecting: AsyncMutex::default() })
    }

    /// Returns the connection, connecting if necessary. Fails at once during the backoff after a failed attempt.
    pub(super) async fn live(self: &Arc<Self>) -> Result<Arc<BrokerConnection>, AmqpError> {
        if let Some(known) = self.known() {
            return known;
        }
        // Runs to completion without the caller: otherwise callers with short timeouts would never connect.
        let link = Arc::clone(self);
        run_to_completion(async move { link.establish().await }).await
    }

    fn known(&self) -> Option<Result<Arc<BrokerConnection>, AmqpError>> {
        let mut slot = lock(&self.slot);
        slot.live = slot.live.take().filter(|live| live.is_up());
        if let Some(live) = &slot.live {
            return Some(Ok(Arc::clone(live)));
        }
        let (error, until) = slot.failure.as_ref()?;
        (Instant::now() < *until).then(|| Err(error.clone()))
    }

    async fn establish(&self) -> Result<Arc<BrokerConnection>, AmqpError> {
        let _guard = self.connecting.lock().await;
        // Another caller may have connected or failed meanwhile.
        if let Some(known) = self.known() {
            return known;
        }
        let connected = BrokerConnection::connect(&self.settings, &self.tls, self.role).await;
        let mut slot = lock(&self.slot);
        match connected {
            Ok(live) => {
                tracing::info!(at = self.settings.address.at(), role = self.role, "connected to the broker");
                let live = Arc::new(live);
                *slot = Slot { live: Some(Arc::clone(&live)), ..Slot::default() };
                Ok(live)
            }
            Err(error) => {
                slot.failures = slot.failures.saturating_add(1);
                slot.failure = Some((error.clone(), Instant::now() + BACKOFF.pause(slot.failures)));
                Err(error)
            }
        }
    }

    /// Makes the next call reconnect. Current users keep this connection.
    pub(super) fn retire(&self, live: &Arc<BrokerConnection>) {
        let mut slot = lock(&self.slot);
        slot.live = slot.live.take().filter(|kept| !Arc::ptr_eq(kept, live));
    }
}

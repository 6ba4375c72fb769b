//! A connection that is made anew when it is lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::connect::{Live, lock};
use super::error::AmqpError;
use super::finish::finished;
use super::settings::AmqpSettings;

/// The pause after a first failure to connect; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause: what waits for it fails at once, and those who ask have pauses of their own.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Connects when it is asked for a connection and there is none. Connection, queues and channels are made as one: what
/// has lost a part of it is given up as a whole, once those who still use it are done.
pub(super) struct Link {
    settings: Arc<AmqpSettings>,
    tls: OwnedTLSConfig,
    role: &'static str,
    slot: Mutex<Slot>,
    connecting: Turn<()>,
}

#[derive(Default)]
struct Slot {
    live: Option<Arc<Live>>,
    failures: u32,
    /// Why there is none, and until when that is answer enough.
    failure: Option<(AmqpError, Instant)>,
}

impl Link {
    pub(super) fn new(settings: Arc<AmqpSettings>, tls: OwnedTLSConfig, role: &'static str) -> Arc<Self> {
        Arc::new(Self { settings, tls, role, slot: Mutex::default(), connecting: Turn::default() })
    }

    /// The connection, made if need be. While the broker is away this fails at once for a while after each attempt.
    pub(super) async fn live(self: &Arc<Self>) -> Result<Arc<Live>, AmqpError> {
        if let Some(known) = self.known() {
            return known;
        }
        // Finished without the one who asked: else nobody who asks only briefly would ever connect.
        let link = Arc::clone(self);
        finished(async move { link.establish().await }).await
    }

    fn known(&self) -> Option<Result<Arc<Live>, AmqpError>> {
        let mut slot = lock(&self.slot);
        slot.live = slot.live.take().filter(|live| live.is_up());
        if let Some(live) = &slot.live {
            return Some(Ok(Arc::clone(live)));
        }
        let (error, until) = slot.failure.as_ref()?;
        (Instant::now() < *until).then(|| Err(error.clone()))
    }

    async fn establish(&self) -> Result<Arc<Live>, AmqpError> {
        let _alone = self.connecting.lock().await;
        // Somebody else may have done it meanwhile, or failed to.
        if let Some(known) = self.known() {
            return known;
        }
        let connected = Live::connect(&self.settings, &self.tls, self.role).await;
        let mut slot = lock(&self.slot);
        match connected {
            Ok(live) => {
                tracing::info!(at = self.settings.address.at(), role = self.role, "connected to the broker");
                let live = Arc::new(live);
                *slot = Slot { live: Some(Arc::clone(&live)), ..Slot::default() };
                Ok(live)
            }
            Err(error) => {
                slot.failure = Some((error.clone(), Instant::now() + pause(slot.failures)));
                slot.failures = slot.failures.saturating_add(1);
                Err(error)
            }
        }
    }

    /// Has the next who asks connect anew. Those who use this connection keep it.
    pub(super) fn retire(&self, live: &Arc<Live>) {
        let mut slot = lock(&self.slot);
        slot.live = slot.live.take().filter(|kept| !Arc::ptr_eq(kept, live));
    }
}

/// Half of it is left to chance, so that not all come back at once.
fn pause(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    let whole = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    let mut random = [0; 2];
    // Without randomness all come back at once, which is worse than nothing and no reason to fail.
    let _ = getrandom::fill(&mut random);
    whole / 2 + whole.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX) / 2.0)
}
